//! How far a long check is: on stderr, and only if that is a terminal.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

pub(crate) fn bar() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr_with_hz(5));
    if let Ok(style) = ProgressStyle::with_template("checking {wide_bar} {percent}% {eta}") {
        bar.set_style(style);
    }
    bar
}

/// What a survey tells of its progress; at the end the bar goes.
pub(crate) fn until_done(bar: ProgressBar) -> impl Fn(u64, u64) + Sync {
    move |done, total| {
        seen(&bar)(done, total);
        if done >= total {
            bar.finish_and_clear();
        }
    }
}

/// What a replay tells of its progress.
pub(crate) fn seen(bar: &ProgressBar) -> impl Fn(u64, u64) + Sync + '_ {
    |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    }
}
