//! As much of SVG as the chart needs.

use std::fmt::Write as _;

/// The side of its point on which a text stands.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Anchor {
    Start,
    End,
}

/// How a text looks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Type {
    pub(crate) size: f64,
    pub(crate) colour: &'static str,
    pub(crate) bold: bool,
}

/// How a stroke looks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stroke {
    pub(crate) colour: &'static str,
    pub(crate) width: f64,
    pub(crate) dashes: &'static str,
}

/// A drawing in the making.
#[derive(Debug, Default)]
pub(crate) struct Svg(String);

impl Svg {
    /// A filled rectangle; `opacity` from 0 to 1.
    pub(crate) fn rect(&mut self, [x, y, width, height]: [f64; 4], fill: &str, opacity: f64) {
        let _ = writeln!(
            self.0,
            r#"<rect x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}" fill="{fill}" fill-opacity="{opacity}"/>"#
        );
    }

    pub(crate) fn line(&mut self, [x1, y1, x2, y2]: [f64; 4], stroke: Stroke) {
        let _ = writeln!(self.0, r#"<path d="M{x1:.1} {y1:.1}L{x2:.1} {y2:.1}" {}/>"#, stroked(stroke));
    }

    /// A line through levels that each last from one x to the next: `(x, until, y)`.
    pub(crate) fn steps(&mut self, steps: impl IntoIterator<Item = (f64, f64, f64)>, stroke: Stroke) {
        let (mut path, mut end) = (String::new(), f64::NAN);
        for (x, until, y) in steps {
            let begin = if (x - end).abs() < 0.01 { "L" } else { "M" };
            let _ = write!(path, "{begin}{x:.1} {y:.1}H{until:.1}");
            end = until;
        }
        let _ = writeln!(self.0, r#"<path d="{path}" {}/>"#, stroked(stroke));
    }

    pub(crate) fn text(&mut self, [x, y]: [f64; 2], anchor: Anchor, style: Type, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::End => "end",
        };
        let weight = if style.bold { 600 } else { 400 };
        let _ = writeln!(
            self.0,
            r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}" font-size="{}" font-weight="{weight}" fill="{}">{}</text>"#,
            style.size,
            style.colour,
            escaped(text)
        );
    }

    /// The whole file.
    pub(crate) fn finish(self, [width, height]: [f64; 2], title: &str, description: &str) -> String {
        format!(
            r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0} {height:.0}" width="{width:.0}" height="{height:.0}" role="img" font-family="system-ui, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif">
<title>{}</title>
<desc>{}</desc>
<rect width="100%" height="100%" fill="#ffffff"/>
{}</svg>
"##,
            escaped(title),
            escaped(description),
            self.0
        )
    }
}

fn stroked(Stroke { colour, width, dashes }: Stroke) -> String {
    let dashes = if dashes.is_empty() { String::new() } else { format!(r#" stroke-dasharray="{dashes}""#) };
    format!(r#"fill="none" stroke="{colour}" stroke-width="{width}" stroke-linejoin="round"{dashes}"#)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
