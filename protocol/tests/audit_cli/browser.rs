//! The report's page in a browser: it can be read, on a wide screen and on a narrow one.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use crate::{Stage, run, text};

/// Measures a page in the page: it writes JSON into an element of its own.
const MEASURE: &str = r#"<script>
const rect = e => { const r = e.getBoundingClientRect(); return [r.x + scrollX, r.y + scrollY, r.width, r.height]; };
const rgb = text => text.match(/[\d.]+/g).slice(0, 3).map(Number);
const own = e => [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
const texts = [...document.body.querySelectorAll('*')].filter(e => own(e) && !e.closest('svg,script')).map(e => {
  const style = getComputedStyle(e);
  return { text: e.textContent.trim().slice(0, 40), size: parseFloat(style.fontSize), color: rgb(style.color), rect: rect(e) };
});
const heading = [...document.querySelectorAll('h2')].find(h => h.textContent === 'Members');
let table = heading.nextElementSibling;
while (!table.querySelector('table') && table.tagName !== 'TABLE') table = table.nextElementSibling;
const measured = {
  width: innerWidth, scroll: document.documentElement.scrollWidth, height: document.documentElement.scrollHeight,
  verdict: rect(document.querySelector('.verdict')), members: rect(table), rows: table.querySelectorAll('tr').length,
  charts: [...document.querySelectorAll('svg')].map(rect), texts,
};
document.body.insertAdjacentHTML('beforeend', '<pre id="measured"></pre>');
document.getElementById('measured').textContent = JSON.stringify(measured);
</script>"#;

/// Somewhere a browser may be; `None`, said why, if there is none.
fn browser() -> Option<PathBuf> {
    let named = std::env::var_os("CHORALE_CHROMIUM").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = named.or_else(|| {
        let names = ["chromium", "chromium-browser", "google-chrome"];
        std::env::split_paths(&path).flat_map(|folder| names.map(|name| folder.join(name))).find(|file| file.is_file())
    });
    if found.is_none() {
        println!("skipped: no chromium in PATH, and CHORALE_CHROMIUM not set");
    }
    found
}

/// Runs the browser on a file, in a profile of its own and without any network.
fn browse(browser: &Path, stage: &Stage, width: u64, height: u64, more: &str, page: &str) -> String {
    let profile = stage.path("profile");
    let output = Command::new(browser)
        .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"])
        .args(["--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .args(["--host-resolver-rules=MAP * ~NOTFOUND", "--force-device-scale-factor=1"])
        .arg(format!("--user-data-dir={profile}"))
        .arg(format!("--window-size={width},{height}"))
        .args([more, &format!("file://{page}")])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What a page says of itself at this width.
fn measure(browser: &Path, stage: &Stage, html: &str, width: u64) -> Value {
    // The page forbids scripts; the copy that is measured does not.
    let policy = html.find("<meta http-equiv").unwrap();
    let end = policy + html[policy..].find('\n').unwrap();
    let copy = format!("{}{}", &html[..policy], &html[end..]).replace("</body>", &format!("{MEASURE}</body>"));
    let path = stage.path("measured.html");
    fs::write(&path, copy).unwrap();
    let shown = browse(browser, stage, width, 900, "--dump-dom", &path);
    let from = shown.rfind("<pre id=\"measured\">").unwrap_or_else(|| panic!("not measured: {shown}")) + 19;
    let json = &shown[from..from + shown[from..].find("</pre>").unwrap()];
    let json = json.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
    serde_json::from_str(&json).unwrap()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

/// Contrast with white (WCAG 2.2, relative luminance).
fn contrast(color: &Value) -> f64 {
    let channel = |at: usize| {
        let value = number(&color[at]) / 255.0;
        if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    };
    1.05 / (0.2126 * channel(0) + 0.7152 * channel(1) + 0.0722 * channel(2) + 0.05)
}

/// Pixels of a screenshot, three bytes each.
struct Picture {
    width: usize,
    pixels: Vec<[u8; 3]>,
}

impl Picture {
    fn read(path: &str) -> Self {
        let mut decoder = png::Decoder::new(std::io::BufReader::new(fs::File::open(path).unwrap()));
        decoder.set_transformations(png::Transformations::normalize_to_color8() | png::Transformations::ALPHA);
        let mut reader = decoder.read_info().unwrap();
        let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut bytes).unwrap();
        let pixels = bytes[..info.buffer_size()].chunks_exact(4).map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect();
        Self { width: info.width as usize, pixels }
    }

    /// The pixels within a rectangle of the page.
    fn within(&self, rect: &Value) -> Vec<[u8; 3]> {
        let [x, y, w, h] = [0, 1, 2, 3].map(|at| number(&rect[at]) as usize);
        let rows = (y..y + h).filter_map(|row| self.pixels.get(row * self.width + x..row * self.width + x + w));
        rows.flatten().copied().collect()
    }
}

fn inked(pixels: &[[u8; 3]]) -> f64 {
    let dark = pixels.iter().filter(|pixel| pixel.iter().any(|&channel| channel < 200)).count();
    dark as f64 / pixels.len().max(1) as f64
}

#[test]
fn the_report_can_be_read_in_a_browser_verdict_first_on_wide_screens_and_narrow_ones() {
    let Some(browser) = browser() else { return };
    let stage = Stage::with_release(3, 3);
    let out = stage.path("report.html");
    let anchors: Vec<&str> = stage.anchors.iter().flat_map(|anchor| ["--anchor", anchor]).collect();
    let (code, output) =
        run(&[&["report", &stage.folder, "--network", &stage.network, "--out", &out], &anchors[..]].concat());
    assert_eq!(code, Some(0), "{}", text(&output.stderr));
    let html = fs::read_to_string(&out).unwrap();
    for width in [1100, 600] {
        let page = measure(&browser, &stage, &html, width);
        assert!(
            number(&page["scroll"]) <= number(&page["width"]),
            "at {width} the page must be moved sideways: {page}"
        );
        assert!(number(&page["verdict"][1]) < 200.0, "at {width} the verdict is not at the top: {page}");
        assert!(number(&page["verdict"][3]) > 20.0 && number(&page["members"][3]) > 40.0, "{page}");
        assert_eq!(page["rows"], 1 + 3, "a row for each of the three members");
        assert_eq!(page["charts"].as_array().unwrap().len(), 3, "publications, movement, lineage");
        for chart in page["charts"].as_array().unwrap() {
            assert!(number(&chart[2]) > 200.0 && number(&chart[3]) > 40.0, "at {width} a chart is {chart}");
            assert!(number(&chart[0]) + number(&chart[2]) <= number(&page["width"]), "at {width} a chart is cut off");
        }
        for text in page["texts"].as_array().unwrap() {
            assert!(number(&text["size"]) >= 9.5, "at {width} too small: {text}");
            assert!(contrast(&text["color"]) >= 4.5, "at {width} too faint: {text}");
        }
        let shot = stage.path("shot.png");
        let height = number(&page["height"]) as u64;
        browse(&browser, &stage, width, height + 200, &format!("--screenshot={shot}"), &out);
        let picture = Picture::read(&shot);
        let verdict = picture.within(&page["verdict"]);
        let green = verdict.iter().filter(|pixel| **pixel == [0x11, 0x77, 0x44]).count();
        assert!(green > 400, "at {width} the verdict shows {green} pixels of its colour");
        for (what, rect) in [("members", &page["members"]), ("lineage", &page["charts"][2])] {
            let ink = inked(&picture.within(rect));
            assert!((0.005..0.6).contains(&ink), "at {width} the {what} have {ink} of their pixels inked");
        }
    }
}
