//! All that a value shows of itself to those who print it.

use std::collections::BTreeSet;
use std::error::Error;
use std::fmt::{self, Debug, Write as _};
use std::sync::{Arc, Mutex};

/// What was shown, and of which types and variants. Clones are one.
#[derive(Clone, Default)]
pub(crate) struct Shown(Arc<Mutex<Everything>>);

#[derive(Default)]
struct Everything {
    text: String,
    names: BTreeSet<String>,
}

impl Shown {
    /// A value, in both forms of `Debug`.
    pub(crate) fn value<T: Debug + ?Sized>(&self, value: &T) {
        let type_name = short(std::any::type_name::<T>());
        self.note(&type_name, &format_args!("{value:?}\n{value:#?}"));
    }

    /// An error: `Debug`, `Display`, and the same of everything behind it.
    pub(crate) fn error<E: Error + 'static>(&self, error: &E) {
        self.own_words(error);
        self.sources(error.source());
    }

    /// The same without what stands behind it, where that is a host's own.
    pub(crate) fn own_words<E: Error + 'static>(&self, error: &E) {
        self.note(
            &short(std::any::type_name::<E>()),
            &format_args!("{error:?}\n{error:#?}\n{error}"),
        );
    }

    /// What stands behind an error that is shown itself.
    fn sources(&self, mut source: Option<&(dyn Error + 'static)>) {
        while let Some(error) = source {
            let mut all = self.0.lock().unwrap();
            writeln!(all.text, "source: {error:?}\n{error:#?}\n{error}").unwrap();
            drop(all);
            source = error.source();
        }
    }

    fn note(&self, type_name: &str, shown: &fmt::Arguments<'_>) {
        let mut all = self.0.lock().unwrap();
        let shown = shown.to_string();
        // `Debug` of an enum begins with the variant.
        let variant: String =
            shown.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        all.names.insert(type_name.to_owned());
        all.names.insert(format!("{type_name}::{variant}"));
        writeln!(all.text, "{type_name}: {shown}").unwrap();
    }

    /// Text that somebody is given: what is displayed, or serialized for diagnostics.
    pub(crate) fn text(&self, text: &str) {
        writeln!(self.0.lock().unwrap().text, "{text}").unwrap();
    }

    pub(crate) fn all(&self) -> String {
        self.0.lock().unwrap().text.clone()
    }

    /// The names of the types that were shown, and `Type::Variant` of each.
    pub(crate) fn names(&self) -> BTreeSet<String> {
        self.0.lock().unwrap().names.clone()
    }
}

/// `crate::Type` of a path, without its modules, and its arguments.
fn short(path: &str) -> String {
    let path = path.trim_start_matches('&').split('<').next().unwrap_or_default();
    let krate = path.split("::").next().unwrap_or_default();
    format!("{krate}::{}", path.rsplit("::").next().unwrap_or_default())
}
