//! News from the one long thing a sandbox does: getting Python ready for this machine, once.

/// What is being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Waiting for another process that is doing the rest.
    Waiting,
    /// Unpacking the Python library.
    Unpacking,
    /// Compiling the interpreter for its first start.
    Compiling,
    /// Starting Python once, importing NumPy and pandas.
    Starting,
    /// Compiling the started interpreter for speed.
    Optimising,
    /// Writing the result to the cache.
    Saving,
}

impl Phase {
    /// All phases that always happen, in order.
    pub const ALL: [Self; 5] = [Self::Unpacking, Self::Compiling, Self::Starting, Self::Optimising, Self::Saving];
}

/// Hears of progress. Called from the thread that opens the sandbox.
pub trait Progress {
    /// `phase` begins.
    fn begin(&self, phase: Phase);
    /// All is done.
    fn done(&self) {}
}

/// Hears nothing.
#[derive(Debug)]
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _phase: Phase) {}
}
