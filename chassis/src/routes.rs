//! The routes of a service as one list, from which both its router and its OpenAPI document come.
//!
//! `routes!` takes handlers that carry `#[utoipa::path]`, which says path and method once. All
//! methods of a path share one resource, so that another method is answered 405 with `Allow`.

use actix_web::Route;
use actix_web::http::Method;
use actix_web::web::{self, ServiceConfig};
use utoipa::openapi::{OpenApi, PathItem};

/// Defines `routes`, which adds the handlers to an application, and `openapi`, which describes
/// them. The first matching path wins, so `/a/b` stands before `/a/{id}`.
///
/// Attributes `#[openapi(…)]` before the list go to the document: its title, its security.
#[macro_export]
macro_rules! routes {
    ($(#[$attribute:meta])* $($($segment:ident)::+),+ $(,)?) => {
        /// Adds all routes to an application.
        pub fn routes(config: &mut ::actix_web::web::ServiceConfig) {
            let mut routes = $crate::routes::Routes::default();
            $({
                #[derive(::utoipa::OpenApi)]
                #[openapi(paths($($segment)::+))]
                struct Described;

                let described = <Described as ::utoipa::OpenApi>::openapi();
                routes.add(&described, || ::actix_web::web::to($($segment)::+));
            })+
            routes.register(config);
        }

        /// The document served at `/openapi.json`.
        pub fn openapi() -> ::utoipa::openapi::OpenApi {
            #[derive(::utoipa::OpenApi)]
            $(#[$attribute])*
            #[openapi(paths($($($segment)::+),+))]
            struct Document;

            <Document as ::utoipa::OpenApi>::openapi()
        }
    };
}

/// Routes by path, in the order in which their paths were first named.
#[derive(Debug, Default)]
pub struct Routes {
    paths: Vec<PathRoutes>,
}

struct PathRoutes {
    path: String,
    routes: Vec<(Method, Route)>,
}

impl std::fmt::Debug for PathRoutes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let methods = self.routes.iter().map(|(method, _)| method);
        f.debug_map()
            .entry(&self.path, &methods.collect::<Vec<_>>())
            .finish()
    }
}

impl Routes {
    /// Adds a handler at every path and method that the document describes.
    pub fn add(&mut self, described: &OpenApi, handler: impl Fn() -> Route) {
        for (path, item) in &described.paths.paths {
            let methods = methods(item);
            let routes = methods.map(|method| (method.clone(), handler().method(method)));
            self.at(path).extend(routes);
        }
    }

    pub fn register(self, config: &mut ServiceConfig) {
        for PathRoutes { path, routes } in self.paths {
            let routes = routes.into_iter().map(|(_, route)| route);
            config.service(routes.fold(web::resource(path), actix_web::Resource::route));
        }
    }

    fn at(&mut self, path: &str) -> &mut Vec<(Method, Route)> {
        let known = self.paths.iter().position(|known| known.path == path);
        let index = known.unwrap_or(self.paths.len());
        if known.is_none() {
            self.paths.push(PathRoutes {
                path: path.to_owned(),
                routes: Vec::new(),
            });
        }
        &mut self.paths[index].routes
    }
}

fn methods(item: &PathItem) -> impl Iterator<Item = Method> {
    let operations = [
        (Method::GET, &item.get),
        (Method::POST, &item.post),
        (Method::PUT, &item.put),
        (Method::PATCH, &item.patch),
        (Method::DELETE, &item.delete),
    ];
    operations
        .into_iter()
        .filter_map(|(method, operation)| operation.is_some().then_some(method))
}

#[cfg(test)]
mod tests {
    use actix_web::http::StatusCode;
    use actix_web::http::header::ALLOW;
    use actix_web::test::{TestRequest, call_service, init_service, read_body};
    use actix_web::{App, HttpResponse};

    use super::*;

    #[utoipa::path(get, path = "/lamps/{id}", responses((status = 200)))]
    async fn read(id: web::Path<String>) -> HttpResponse {
        HttpResponse::Ok().body(id.into_inner())
    }

    #[utoipa::path(delete, path = "/lamps/{id}", responses((status = 204)))]
    async fn remove() -> HttpResponse {
        HttpResponse::NoContent().finish()
    }

    #[utoipa::path(get, path = "/lamps/newest", responses((status = 200)))]
    async fn newest() -> HttpResponse {
        HttpResponse::Ok().body("the newest")
    }

    routes! {
        #[openapi(info(title = "Lamps"))]
        newest,
        read,
        remove,
    }

    #[actix_web::test]
    async fn every_handler_is_routed_and_described_by_its_path_and_method() {
        let app = init_service(App::new().configure(routes)).await;
        let answer = async |method: Method, path: &str| {
            let request = TestRequest::with_uri(path).method(method).to_request();
            let response = call_service(&app, request).await;
            (response.status(), read_body(response).await)
        };
        let (status, body) = answer(Method::GET, "/lamps/7").await;
        assert_eq!((status, &body[..]), (StatusCode::OK, &b"7"[..]));
        let (status, _) = answer(Method::DELETE, "/lamps/7").await;
        assert_eq!(status, StatusCode::NO_CONTENT);
        let (_, body) = answer(Method::GET, "/lamps/newest").await;
        assert_eq!(&body[..], b"the newest");

        let document = openapi();
        assert_eq!(document.info.title, "Lamps");
        let item = &document.paths.paths["/lamps/{id}"];
        assert!(item.get.is_some() && item.delete.is_some());
        assert!(document.paths.paths["/lamps/newest"].get.is_some());
    }

    #[actix_web::test]
    async fn another_method_is_not_allowed_and_told_which_are() {
        let app = init_service(App::new().configure(routes)).await;
        let request = TestRequest::post().uri("/lamps/7").to_request();
        let response = call_service(&app, request).await;
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
        let allowed = response.headers().get(ALLOW).unwrap().to_str().unwrap();
        assert!(allowed.contains("GET") && allowed.contains("DELETE"));
    }
}
