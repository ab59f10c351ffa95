//! What the reader sees: lines that stay, and below them a few that are drawn anew in place. Where standard output is
//! no terminal, the latter are printed now and then.

use std::{
    io::{IsTerminal, Write, stdout},
    time::{Duration, Instant},
};

/// Time between two drawings on a terminal.
const REDRAW: Duration = Duration::from_millis(200);
/// Time between two printings elsewhere.
const REPRINT: Duration = Duration::from_secs(2);

/// Standard output.
#[derive(Debug)]
pub(crate) struct Screen {
    terminal: bool,
    /// Lines of the drawing that stands there now.
    drawn: usize,
    last: Option<Instant>,
}

impl Screen {
    pub(crate) fn new() -> Self {
        Self { terminal: stdout().is_terminal(), drawn: 0, last: None }
    }

    /// Prints a line that stays.
    pub(crate) fn say(&mut self, line: &str) {
        self.clear();
        self.write(&format!("{line}\n"));
        if !self.terminal {
            // Something has been said: the figures are due when they have changed.
            self.last = Some(Instant::now());
        }
    }

    /// Prints a judgement that stays.
    pub(crate) fn verdict(&mut self, passed: bool, line: &str) {
        // SGR codes of ECMA-48: 32 is green, 31 red.
        let word = match (passed, self.terminal) {
            (true, true) => "\x1b[32mPASS\x1b[0m",
            (false, true) => "\x1b[31mFAIL\x1b[0m",
            (true, false) => "PASS",
            (false, false) => "FAIL",
        };
        self.say(&format!("  {word}  {line}"));
    }

    /// Whether the drawing is old enough for a new one.
    pub(crate) fn is_due(&self) -> bool {
        let pause = if self.terminal { REDRAW } else { REPRINT };
        self.last.is_none_or(|last| last.elapsed() >= pause)
    }

    /// Draws these lines in the place of the last drawing.
    pub(crate) fn draw(&mut self, lines: &[String]) {
        self.last = Some(Instant::now());
        if self.terminal {
            self.write(&redrawing(self.drawn, lines));
            self.drawn = lines.len();
        } else {
            self.write(&format!("{}\n", lines.join("\n")));
        }
    }

    /// Takes the drawing away.
    pub(crate) fn clear(&mut self) {
        if self.drawn > 0 {
            self.write(&redrawing(self.drawn, &[]));
            self.drawn = 0;
        }
    }

    fn write(&self, text: &str) {
        let mut out = stdout().lock();
        // A reader who has gone away ends nothing: the laboratory must still be taken down.
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }
}

/// What draws `lines` over the `drawn` lines above the cursor. Each line is overwritten and its rest erased, so that
/// nothing is blank in between.
fn redrawing(drawn: usize, lines: &[String]) -> String {
    // CUU moves up, but by one line at least; EL erases the rest of a line, ED that of the screen (ECMA-48). DEC private
    // mode 7 off: a line too long is cut instead of wrapped, so that their number is known.
    let up = if drawn > 0 { format!("\x1b[{drawn}A") } else { String::new() };
    let lines: String = lines.iter().map(|line| format!("{line}\x1b[K\n")).collect();
    format!("{up}\x1b[?7l{lines}\x1b[?7h\x1b[J")
}

/// A bar of `width` cells, filled by `part`, `0.0..=1.0`.
pub(crate) fn bar(part: f64, width: usize) -> String {
    let filled = ((part * width as f64).round() as usize).min(width);
    format!("{}{}", "█".repeat(filled), "░".repeat(width - filled))
}

#[cfg(test)]
mod tests {
    use super::{bar, redrawing};

    #[test]
    fn a_drawing_takes_the_place_of_the_last_one() {
        let lines = ["a".to_owned(), "b".to_owned()];
        assert_eq!(redrawing(0, &lines), "\x1b[?7la\x1b[K\nb\x1b[K\n\x1b[?7h\x1b[J");
        assert!(redrawing(2, &lines).starts_with("\x1b[2A"));
        assert_eq!(redrawing(2, &[]), "\x1b[2A\x1b[?7l\x1b[?7h\x1b[J");
    }

    #[test]
    fn bars_fill_from_nothing_to_everything() {
        assert_eq!([bar(0.0, 4), bar(0.5, 4), bar(1.0, 4), bar(7.0, 4)], ["░░░░", "██░░", "████", "████"]);
    }
}
