//! Fields of other versions of the format.

use alloc::collections::BTreeMap;
use alloc::string::String;
use core::fmt;
use core::ops::{Deref, DerefMut};

use serde::{Deserialize, Serialize};

/// Fields that this version does not know, kept and written back as they are.
///
/// One of them may be a secret of a later version, so `Debug` prints their names alone.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Unknown(BTreeMap<String, serde_json::Value>);

impl Deref for Unknown {
    type Target = BTreeMap<String, serde_json::Value>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl DerefMut for Unknown {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl fmt::Debug for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn debug_prints_the_names_alone() {
        let unknown = Unknown(BTreeMap::from([("key".into(), "canary".into())]));
        assert_eq!(format!("{unknown:?}"), r#"{"key"}"#);
    }
}
