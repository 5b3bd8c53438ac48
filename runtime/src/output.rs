//! What is kept of a stream: its head, its tail, and how much was between.

use std::collections::VecDeque;

/// The kept part of one stream. Host memory, which the guest's own memory limit does not cover, so it is bounded here.
#[derive(Debug, Clone, Default)]
pub struct Kept {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    half: usize,
    /// Bytes that fell out between head and tail.
    cut: u64,
}

impl Kept {
    pub(crate) fn new(bytes: usize) -> Self {
        Self { half: bytes / 2, ..Self::default() }
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let room = self.half.saturating_sub(self.head.len()).min(bytes.len());
        let (head, rest) = bytes.split_at_checked(room).unwrap_or((bytes, &[]));
        self.head.extend_from_slice(head);
        if rest.is_empty() {
            return;
        }
        let skipped = rest.len().saturating_sub(self.half);
        let rest = rest.get(skipped..).unwrap_or_default();
        let overflow = (self.tail.len() + rest.len()).saturating_sub(self.half);
        self.tail.drain(..overflow.min(self.tail.len()));
        self.tail.extend(rest);
        self.cut += (skipped + overflow) as u64;
    }

    /// Bytes that are not kept.
    pub fn cut(&self) -> u64 {
        self.cut
    }

    /// Bytes kept and cut together.
    pub fn written(&self) -> u64 {
        (self.head.len() + self.tail.len()) as u64 + self.cut
    }

    /// The kept bytes, with a line in the place of what was cut.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.head.clone();
        if self.cut > 0 {
            if !bytes.is_empty() && !bytes.ends_with(b"\n") {
                bytes.push(b'\n');
            }
            bytes.extend_from_slice(format!("[... {} bytes cut ...]\n", self.cut).as_bytes());
        }
        bytes.extend(&self.tail);
        bytes
    }

    /// [`Self::to_bytes`] as text; what is not UTF-8 becomes U+FFFD.
    pub fn to_text(&self) -> String {
        String::from_utf8_lossy(&self.to_bytes()).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_everything_that_fits() {
        let mut kept = Kept::new(8);
        kept.push(b"abc");
        kept.push(b"defgh");
        assert_eq!((kept.to_bytes(), kept.cut()), (b"abcdefgh".to_vec(), 0));
    }

    #[test]
    fn keeps_head_and_tail_of_one_large_write() {
        let mut kept = Kept::new(4);
        kept.push(b"0123456789");
        assert_eq!(kept.to_text(), "01\n[... 6 bytes cut ...]\n89");
        assert_eq!(kept.written(), 10);
    }

    #[test]
    fn keeps_head_and_tail_of_many_small_writes() {
        let mut kept = Kept::new(4);
        for byte in b"0123456789" {
            kept.push(&[*byte]);
        }
        assert_eq!(kept.to_text(), "01\n[... 6 bytes cut ...]\n89");
    }

    #[test]
    fn keeps_nothing_when_told_so() {
        let mut kept = Kept::new(0);
        kept.push(b"abc");
        assert_eq!((kept.to_text().as_str(), kept.cut()), ("[... 3 bytes cut ...]\n", 3));
    }
}
