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
    /// Keeps at most `bytes`, half of them from the head and half from the tail.
    pub fn new(bytes: usize) -> Self {
        Self { half: bytes / 2, ..Self::default() }
    }

    /// Takes what was written next.
    pub fn push(&mut self, bytes: &[u8]) {
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

    /// What was written from byte `position` on, with a line in the place of what was cut of it.
    pub fn since(&self, position: u64) -> Vec<u8> {
        let from = |position: u64| usize::try_from(position).unwrap_or(usize::MAX);
        let (head, tail) = (self.head.len() as u64, self.tail.len());
        if position >= head + self.cut {
            let skipped = from(position - head - self.cut).min(tail);
            return self.tail.range(skipped..).copied().collect();
        }
        let mut rest = self.clone();
        rest.head.drain(..from(position.min(head)));
        rest.cut -= position.saturating_sub(head);
        rest.to_bytes()
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
    fn reads_on_from_any_position() {
        let mut kept = Kept::new(4);
        kept.push(b"0123456789");
        let since = |position| String::from_utf8(kept.since(position)).unwrap();
        assert_eq!(since(0), kept.to_text());
        assert_eq!(since(1), "1\n[... 6 bytes cut ...]\n89");
        assert_eq!(since(5), "[... 3 bytes cut ...]\n89");
        assert_eq!([since(8), since(9), since(10), since(99)], ["89", "9", "", ""]);
    }

    #[test]
    fn keeps_nothing_when_told_so() {
        let mut kept = Kept::new(0);
        kept.push(b"abc");
        assert_eq!((kept.to_text().as_str(), kept.cut()), ("[... 3 bytes cut ...]\n", 3));
    }
}
