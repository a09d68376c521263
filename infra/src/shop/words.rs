//! The word lists, as written in the files beside this one.
//!
//! A file is a department. A line says by its first sign what it is: `*` a brand and a sentence
//! about it, `=` a shelf, and below it `~` the styles of its goods, `@` an attribute and its values,
//! `+` a sentence that fits them all, `-` a kind of thing: name, sizes, euros from–to, a sentence.

/// A root of the category tree.
#[derive(Debug, Default)]
pub(super) struct Department {
    pub(super) name: String,
    /// Begins the skus.
    pub(super) code: String,
    pub(super) brands: Vec<(String, String)>,
    pub(super) shelves: Vec<Shelf>,
}

/// A category of products.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    pub(super) name: String,
    pub(super) styles: Vec<String>,
    pub(super) attributes: Vec<(String, Vec<String>)>,
    pub(super) notes: Vec<String>,
    pub(super) kinds: Vec<Kind>,
}

#[derive(Debug)]
pub(super) struct Kind {
    noun: String,
    /// From small to large; none where there is but one.
    pub(super) sizes: Vec<String>,
    pub(super) euros: (i64, i64),
    pub(super) about: String,
}

impl Kind {
    /// Brand, style and noun, or, where the noun has a place for the style, that alone.
    pub(super) fn name(&self, brand: &str, style: &str) -> String {
        if self.noun.contains("{}") {
            return self.noun.replace("{}", style);
        }
        format!("{brand} {style} {}", self.noun)
    }
}

/// Reads a department. The lists are part of the program, so they are as described above.
pub(super) fn parse(text: &str) -> Department {
    let mut department = Department::default();
    for line in text.lines().filter(|line| !line.is_empty()) {
        let (sign, rest) = line.split_once(' ').expect("a sign stands alone");
        if sign.len() > 1 {
            department.name = sign.to_owned();
            department.code = rest.to_owned();
            continue;
        }
        if sign == "=" {
            department.shelves.push(Shelf {
                name: rest.to_owned(),
                ..Shelf::default()
            });
            continue;
        }
        match department.shelves.last_mut() {
            None => department.brands.push(pair(rest)),
            Some(shelf) => shelf.read(sign, rest),
        }
    }
    department
}

impl Shelf {
    fn read(&mut self, sign: &str, rest: &str) {
        match sign {
            "~" => self.styles = list(rest),
            "@" => {
                let (name, values) = pair(rest);
                self.attributes.push((name, list(&values)));
            }
            "+" => self.notes.push(rest.to_owned()),
            "-" => self.kinds.push(kind(rest)),
            other => unreachable!("no line begins with {other}"),
        }
    }
}

fn kind(text: &str) -> Kind {
    let fields: Vec<&str> = text.splitn(4, '|').map(str::trim).collect();
    let [noun, sizes, euros, about] = fields[..] else {
        unreachable!("a kind has four fields: {text}");
    };
    let (low, high) = euros.split_once('-').expect("prices are from-to");
    let number = |text: &str| text.parse().expect("prices are whole euros");
    Kind {
        noun: noun.to_owned(),
        sizes: list(sizes),
        euros: (number(low), number(high)),
        about: about.to_owned(),
    }
}

fn pair(text: &str) -> (String, String) {
    let (name, rest) = text.split_once(": ").expect("a name and what it is");
    (name.to_owned(), rest.to_owned())
}

fn list(text: &str) -> Vec<String> {
    let items = text.split(", ").filter(|item| !item.is_empty());
    items.map(str::to_owned).collect()
}
