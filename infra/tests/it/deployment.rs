//! The services of a deployment, as `up` starts and `down` ends them, and what an operator does with
//! them in between.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    time::Duration,
};

use chassis::{
    auth::{Role, mint},
    clock,
    config::DEVELOPMENT_JWT_SECRET,
};
use flate2::{Compression, write::GzEncoder};
use infra::{
    operation::{
        connection::Connection,
        deployment::Deployment,
        health,
        import::{self, Destination, refused::RefusedLines},
        lag::lag,
        replay::replay,
        services::{self, Listen, Replicas, Starter},
        verify::verify,
        visible::until_visible,
    },
    service::{self, Profile, Service},
    shop,
};
use schemas::{operations::LaneHealth, rest::import::LineStatus, view::View};
use testbed::{namespace::Namespace, stack};

const PRODUCTS: usize = 120;

#[tokio::test]
async fn services_come_up_once_serve_an_operator_and_go_down() {
    let stack = stack::shared().await.unwrap();
    let namespace = Namespace::create(stack.endpoints()).await.unwrap();
    let surroundings = namespace.surroundings();
    let starter = Starter {
        dir: std::env::temp_dir().join(format!("tidemark-{}", clock::new_id())),
        programs: programs().await,
        listen: Listen::Anywhere,
        attached: true,
    };
    let one_each = Replicas::of_each(1);
    assert_eq!(starter.start(&surroundings, one_each).await.unwrap(), 3);
    assert_eq!(starter.start(&surroundings, one_each).await.unwrap(), 0);
    let deployment = Deployment::load(&starter.dir).unwrap().unwrap();
    let health = health::services(&deployment).await;
    assert!(health.iter().all(|one| one.ready), "{health:?}");

    import_a_shop(&deployment, &starter.dir).await;
    rebuild_a_view(&deployment).await;
    nothing_differs(&deployment).await;

    assert_eq!(services::stop(&starter.dir).await.unwrap(), 3);
    assert!(
        deployment
            .services
            .iter()
            .all(|one| one.running().is_none())
    );
    assert!(Deployment::load(&starter.dir).unwrap().is_none());
    fs::remove_dir_all(&starter.dir).unwrap();
    namespace.remove().await.unwrap();
}

/// Built with the tests where all of them run, else now.
pub(crate) async fn programs() -> PathBuf {
    let this = std::env::current_exe().unwrap();
    let beside = this.ancestors().nth(2).unwrap();
    let is_there = |service: &Service| beside.join(service.name()).is_file();
    if Service::ALL.iter().all(is_there) {
        return beside.to_owned();
    }
    service::build(Profile::own()).await.unwrap()
}

/// All but a line that is refused, and written down.
async fn import_a_shop(deployment: &Deployment, dir: &Path) {
    let file = dir.join("shop.ndjson.gz");
    let mut gzip = GzEncoder::new(File::create(&file).unwrap(), Compression::fast());
    for product in shop::products().iter().take(PRODUCTS) {
        writeln!(gzip, "{}", serde_json::to_string(product).unwrap()).unwrap();
    }
    writeln!(gzip, "\nnothing that could be sold").unwrap();
    gzip.finish().unwrap();

    let secret = DEVELOPMENT_JWT_SECRET.into();
    let hour = Duration::from_secs(3_600);
    let destination = Destination {
        url: deployment.url(Service::CommandSvc).unwrap().to_owned(),
        token: mint(&secret, Role::Admin, clock::new_id(), hour).unwrap(),
    };
    let mut refused = RefusedLines::of(&file, dir).unwrap();
    let totals = import::products(&file, &destination, |answer| match answer.status {
        LineStatus::Refused => refused.add(answer),
        _ => Ok(()),
    });
    let totals = totals.await.unwrap();
    assert_eq!((totals.created, totals.refused), (PRODUCTS as u64, 1));
    let path = refused.finish().unwrap().unwrap();
    assert!(
        fs::read_to_string(path)
            .unwrap()
            .contains("nothing that could be sold")
    );

    let query_svc = deployment.url(Service::QuerySvc).unwrap();
    until_visible(query_svc, &totals.tidemark, |_| {})
        .await
        .unwrap();
    let report = lag(deployment).await.unwrap();
    let states = report.views.iter().flat_map(|view| &view.builds);
    assert!(states.clone().count() >= 2);
    assert!(
        states
            .clone()
            .all(|build| build.state < LaneHealth::Stalled)
    );
}

async fn rebuild_a_view(deployment: &Deployment) {
    let connection = Connection::open(&deployment.surroundings).await.unwrap();
    let replayed = replay(&connection, View::Products, |_| {}).await.unwrap();
    assert_eq!(Some(replayed.to), replayed.from.map(|from| from + 1));
    assert!(replayed.events > PRODUCTS as u64);
}

async fn nothing_differs(deployment: &Deployment) {
    let mut differences = Vec::new();
    let tell = |difference| differences.push(difference);
    let checked = verify(&deployment.surroundings, tell, |_| {})
        .await
        .unwrap();
    assert_eq!(differences, []);
    assert!(checked.documents > PRODUCTS as u64, "{checked:?}");
}
