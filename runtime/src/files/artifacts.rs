//! What a program leaves in its working folder: the files that it made or changed, by their names below it.

use super::content::Content;
use super::node::{Body, Id};
use super::resolve::LONGEST_PATH;
use super::tree::Files;
use std::collections::HashMap;
use std::io::{self, Read};
use std::sync::Arc;

/// Most entries looked at; each costs the program memory, so that this bounds time alone.
const MOST_SEEN: usize = 1 << 20;

/// The files that a run made or changed in its working folder, by their names.
#[derive(Debug, Default)]
pub struct Artifacts {
    pub files: Vec<Artifact>,
    pub left_out: LeftOut,
}

/// How many are not among them, and why.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// There were as many already as there may be.
    pub too_many: u64,
    /// Their names are longer than a path may be.
    pub too_long: u64,
    /// They are links, which are not followed.
    pub links: u64,
}

/// One file.
#[derive(Debug, Clone)]
pub struct Artifact {
    /// Relative to the working folder, its parts joined by `/`. None of them is empty, `.` or `..`; else they are what the
    /// program chose.
    pub name: String,
    content: Arc<Content>,
}

impl Artifact {
    /// Its length in bytes.
    pub fn size(&self) -> u64 {
        self.content.size()
    }

    /// Its bytes, from the first to the last.
    pub fn reader(&self) -> impl Read + '_ {
        Reader { content: &self.content, at: 0 }
    }
}

struct Reader<'a> {
    content: &'a Content,
    at: u64,
}

impl Read for Reader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.content.read_at(self.at, buffer)?;
        self.at += count as u64;
        Ok(count)
    }
}

impl Files {
    /// Takes at most `most` files out of the working folder. The run is over: what is taken is not there any more.
    pub(crate) fn take_artifacts(&mut self, most: usize) -> Artifacts {
        let mut found = Artifacts::default();
        // Every run comes here, and few have any.
        if self.child_count(Self::DATA) == 0 || most == 0 {
            return found;
        }
        let mut named: Vec<(String, Id)> = Vec::new();
        let mut folders = vec![(String::new(), Self::DATA, false)];
        let mut seen = 0;
        while let Some((prefix, folder, is_new)) = folders.pop() {
            let Some(Body::Folder(folder)) = self.own(folder).map(|node| &node.body) else { continue };
            for (name, id) in &folder.entries {
                seen += 1;
                let Some(node) = self.own(*id) else { continue };
                let is_new = is_new || node.is_new;
                let too_long = prefix.len() + name.len() > LONGEST_PATH;
                match &node.body {
                    Body::Link(_) if is_new => found.left_out.links += 1,
                    Body::File(_) if is_new && too_long => found.left_out.too_long += 1,
                    Body::Folder(_) if too_long => found.left_out.too_long += 1,
                    Body::File(_) if is_new && named.len() >= most => found.left_out.too_many += 1,
                    Body::File(_) if is_new => named.push((format!("{prefix}{name}"), *id)),
                    Body::Folder(_) if seen < MOST_SEEN => folders.push((format!("{prefix}{name}/"), *id, is_new)),
                    _ => {}
                }
            }
        }
        named.sort();
        found.files = self.take_contents(named);
        found
    }

    fn take_contents(&mut self, named: Vec<(String, Id)>) -> Vec<Artifact> {
        // A file with several names is one content.
        let mut taken: HashMap<Id, Arc<Content>> = HashMap::new();
        let files = named.into_iter().filter_map(|(name, id)| {
            if let Some(content) = taken.get(&id) {
                return Some(Artifact { name, content: Arc::clone(content) });
            }
            let Body::File(content) = &mut self.own_mut(id)?.body else { return None };
            let content = Arc::new(std::mem::replace(content, Content::Own(Vec::new())));
            taken.insert(id, Arc::clone(&content));
            Some(Artifact { name, content })
        });
        files.collect()
    }

    fn child_count(&self, id: Id) -> usize {
        match self.own(id).map(|node| &node.body) {
            Some(Body::Folder(folder)) => folder.entries.len(),
            _ => 0,
        }
    }
}
