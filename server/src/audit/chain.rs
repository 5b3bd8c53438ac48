//! The chain: each line has its number, the seal of the line before it, and its own. Seals are made with a key, so that
//! whoever can change the log but not read the key cannot make a chain that holds.

use crate::config::write_atomically;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::Path;

const KEY: &str = "key";
const HEAD: &str = "head.json";

/// Where a line's own seal begins; it is the last field.
const SEAL: &str = ",\"seal\":\"";

pub(super) struct Key([u8; 32]);

impl Key {
    /// The key of the log in `folder`, made if there is none.
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        match Self::read(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            read => return read,
        }
        let mut key = [0; 32];
        getrandom::fill(&mut key)?;
        write_atomically(&folder.join(KEY), &key)?;
        Ok(Self(key))
    }

    pub(super) fn read(folder: &Path) -> io::Result<Self> {
        let key = fs::read(folder.join(KEY))?;
        let wrong = |_| io::Error::new(io::ErrorKind::InvalidData, "the key of the audit log is damaged");
        Ok(Self(key.as_slice().try_into().map_err(wrong)?))
    }

    fn seal(&self, text: &str) -> String {
        blake3::keyed_hash(&self.0, text.as_bytes()).to_hex().to_string()
    }

    /// A line from its fields, which are an object.
    pub(super) fn line(&self, number: u64, before: &str, fields: &str) -> (String, String) {
        let fields = fields.strip_prefix('{').and_then(|fields| fields.strip_suffix('}')).unwrap_or_default();
        let text = format!("{{\"number\":{number},\"before\":\"{before}\",{fields}");
        let seal = self.seal(&text);
        (format!("{text}{SEAL}{seal}\"}}\n"), seal)
    }

    /// What a line says of the chain, if its seal is right.
    pub(super) fn check(&self, line: &str) -> Option<Link> {
        let (text, rest) = line.rsplit_once(SEAL)?;
        let seal = rest.strip_suffix("\"}")?;
        // A log's reader has all the time that it wants, but no way to have a seal compared often.
        if self.seal(text) != seal {
            return None;
        }
        let Fields { number, before } = serde_json::from_str(line).ok()?;
        Some(Link { number, before, seal: seal.to_owned() })
    }
}

#[derive(Deserialize)]
struct Fields {
    number: u64,
    before: String,
}

/// One line's place in the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) number: u64,
    pub(super) before: String,
    pub(super) seal: String,
}

/// The ends of the chain, kept beside it: lines that are cut off at either end would leave a chain that holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Head {
    /// The number of the oldest line that is kept.
    pub(super) first: u64,
    /// The number and the seal of the newest line.
    pub(super) last: u64,
    pub(super) seal: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sealed {
    head: Head,
    seal: String,
}

impl Head {
    pub(super) fn write(&self, folder: &Path, key: &Key) -> io::Result<()> {
        use std::os::unix::fs::{FileExt, OpenOptionsExt};
        let seal = key.seal(&self.text());
        let text = serde_json::to_string(&Sealed { head: self.clone(), seal })?;
        // In place, and padded: a file made anew for every line would cost more than the line.
        let file =
            fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(folder.join(HEAD))?;
        file.write_all_at(format!("{text:<300}").as_bytes(), 0)
    }

    /// None: there is none, and no line either.
    pub(super) fn read(folder: &Path, key: &Key) -> io::Result<Option<Self>> {
        let text = match fs::read(folder.join(HEAD)) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let wrong = || io::Error::new(io::ErrorKind::InvalidData, "the ends of the audit log's chain were changed");
        let sealed: Sealed = serde_json::from_slice(&text).map_err(|_| wrong())?;
        if key.seal(&sealed.head.text()) != sealed.seal {
            return Err(wrong());
        }
        Ok(Some(sealed.head))
    }

    fn text(&self) -> String {
        format!("{} {} {}", self.first, self.last, self.seal)
    }
}
