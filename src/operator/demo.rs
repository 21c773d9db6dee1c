//! Finding a demo's deployment by the `demo.json` that it writes (DESIGN.md section 8), as far as operators need it.

use std::fs;
use std::path::{Path, PathBuf};

use claviger_types::Region;
use serde::Deserialize;

use crate::DemoError;

/// A demo's deployment.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Demo {
    /// Who signed the api listeners' certificates.
    pub ca: PathBuf,
    /// The demo's operator.
    pub operator: DemoOperator,
    regions: Vec<DemoRegion>,
}

/// The certificate of the demo's operator.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct DemoOperator {
    /// Its certificate.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct DemoRegion {
    name: Region,
    nodes: Vec<DemoNode>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct DemoNode {
    api: String,
}

impl Demo {
    /// Reads a `demo.json`.
    ///
    /// # Errors
    /// When there is none, or it is something else.
    pub fn load(path: &Path) -> Result<Self, DemoError> {
        let text = fs::read(path).map_err(|source| DemoError::File { path: path.to_owned(), source })?;
        serde_json::from_slice(&text).map_err(|source| DemoError::Unusable { path: path.to_owned(), source })
    }

    /// Every region, with the api listeners of its nodes.
    pub fn regions(&self) -> impl Iterator<Item = (&Region, impl Iterator<Item = &str>)> {
        self.regions.iter().map(|region| (&region.name, region.nodes.iter().map(|node| node.api.as_str())))
    }

    /// The api listeners of a region's nodes; of the only region when none is named.
    ///
    /// # Errors
    /// When there is no such region, or there are several and none is named.
    pub fn nodes(&self, region: Option<&Region>) -> Result<Vec<&str>, DemoError> {
        let found = match (region, &self.regions[..]) {
            (None, [only]) => Some(only),
            (None, _) => None,
            (Some(region), all) => all.iter().find(|known| known.name == *region),
        };
        let names = || self.regions.iter().map(|region| region.name.as_str()).collect::<Vec<_>>().join(", ");
        let found = found.ok_or_else(|| DemoError::Region(names()))?;
        Ok(found.nodes.iter().map(|node| node.api.as_str()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_region_is_named_unless_it_is_the_only_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("demo.json");
        assert!(matches!(Demo::load(&path), Err(DemoError::File { .. })));
        fs::write(&path, "{}").unwrap();
        assert!(matches!(Demo::load(&path), Err(DemoError::Unusable { .. })));
        let one = r#"{"name":"eu-west-1","nodes":[{"id":1,"api":"https://127.0.0.1:1"},{"id":2,"api":"https://127.0.0.1:2"}]}"#;
        let demo = |regions: &str| {
            let text =
                format!(r#"{{"ca":"/ca.pem","agent":"http://a","operator":{{"cert":"/o.pem","key":"/o.key"}},"regions":[{regions}]}}"#);
            fs::write(&path, text).unwrap();
            Demo::load(&path).unwrap()
        };
        let only = demo(one);
        assert_eq!(only.nodes(None).unwrap(), ["https://127.0.0.1:1", "https://127.0.0.1:2"]);
        assert_eq!(only.operator.key, Path::new("/o.key"));
        let both = demo(&format!("{one},{}", one.replace("eu-west-1", "us-east-1").replace("127.0.0.1", "b")));
        assert_eq!(both.nodes(Some(&"us-east-1".parse().unwrap())).unwrap()[0], "https://b:1");
        let unclear = both.nodes(None).unwrap_err().to_string();
        assert!(unclear.contains("eu-west-1, us-east-1"), "{unclear}");
        let all: Vec<(&str, usize)> = both.regions().map(|(name, nodes)| (name.as_str(), nodes.count())).collect();
        assert_eq!(all, [("eu-west-1", 2), ("us-east-1", 2)]);
        assert!(both.nodes(Some(&"ap-south-1".parse().unwrap())).is_err());
    }
}
