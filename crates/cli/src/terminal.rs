//! What people see: lines on stdout, colour only where it is wanted, a bar on stderr only on a terminal.

use std::io::{self, IsTerminal as _, Write as _};

use tradepost_marketplace::doors::Environment;

/// How much and how colourfully to write.
#[derive(Debug, Clone, Copy, Default)]
pub struct Terminal {
    colour: bool,
    bar: bool,
}

impl Terminal {
    /// By `NO_COLOR`, and by what the streams are. `quiet` leaves the bar out.
    pub fn detect(environment: &dyn Environment, quiet: bool) -> Self {
        let colour = io::stdout().is_terminal() && environment.var("NO_COLOR").is_none();
        Self { colour, bar: io::stderr().is_terminal() && !quiet }
    }

    /// The text in green.
    pub fn good(self, text: &str) -> String {
        self.paint("32", text)
    }

    /// The text in red.
    pub fn bad(self, text: &str) -> String {
        self.paint("31", text)
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// Draws the bar: `done` of `of`.
    pub fn draw_bar(self, done: usize, of: usize, label: &str) {
        const WIDTH: usize = 30;
        if !self.bar || of == 0 {
            return;
        }
        let full = done.min(of) * WIDTH / of;
        let line = format!("\r\x1b[K[{}{}] {label}", "#".repeat(full), ".".repeat(WIDTH - full));
        let _ = io::stderr().write_all(line.as_bytes());
    }

    /// Takes the bar away.
    pub fn clear_bar(self) {
        if self.bar {
            let _ = io::stderr().write_all(b"\r\x1b[K");
        }
    }
}

/// Writes a line on stdout at once. A reader that has gone is no failure of ours.
pub fn say(line: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
