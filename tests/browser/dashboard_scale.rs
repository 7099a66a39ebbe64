//! The dashboard on a full server: ten thousand connections in five thousand groups. What it shows is bounded, and finds
//! the one. How long it takes is printed for those who want to know (`--nocapture`), and judged by nobody here.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use super::client::http;
use super::crowd::{Bustle, Person, gather, most_connections};
use super::dashboard::{PASSWORD, Place, log_in, rows, view};
use super::driver::Driver;
use super::support::Browser;
use super::token::ACCESS_KEY;

/// Connections, where the system lends so many files.
const MOST: usize = 10_000;
/// With fewer there is nothing to be seen.
const FEWEST: usize = 1_000;
/// Rows of one page of a table.
const PAGE: usize = 100;
/// Rows of the live tail.
const TAIL: usize = 200;

/// A crowd: two in each group besides the one that everybody is in, five connections for each user.
#[derive(Clone, Copy)]
struct Crowd {
    size: usize,
}

impl Crowd {
    fn of_this_machine() -> Self {
        let size = MOST.min(most_connections()) / 10 * 10;
        assert!(size >= FEWEST, "the limit of open files (ulimit -Hn) allows {size} connections and not {FEWEST}");
        Crowd { size }
    }

    fn groups(self) -> usize {
        self.size / 2
    }

    fn users(self) -> usize {
        self.size / 5
    }

    /// The one who comes from elsewhere.
    fn stranger(self) -> usize {
        self.size - 58
    }

    fn group(self, number: usize) -> String {
        let group = number % self.groups();
        format!("plant/{:02}/line-{:02}", group / 100, group % 100)
    }

    fn user(self, number: usize) -> String {
        format!("person-{:04}", number % self.users())
    }

    fn person(self, number: usize) -> Person {
        let mut person = Person::new(self.user(number), vec![self.group(number), "all".into()]);
        if number == self.stranger() {
            person.address = Ipv4Addr::new(127, 0, 0, 2).into();
        }
        person
    }
}

/// A number as the page writes it.
fn written(number: usize) -> String {
    match number {
        1000.. => format!("{},{:03}", number / 1000, number % 1000),
        small => small.to_string(),
    }
}

/// Says how long something took.
fn took<T>(what: &str, run: impl FnOnce() -> T) -> T {
    let begin = Instant::now();
    let result = run();
    println!("{:>6} ms  {what}", begin.elapsed().as_millis());
    result
}

/// The sum and the number of the observations of a histogram.
fn observed(place: &Place, name: &str) -> (f64, f64) {
    let (status, text) = http(place.program.address, "GET /metrics", &[], "");
    assert_eq!(status, 200);
    let figure = |suffix: &str| {
        let name = format!("{name}_{suffix} ");
        text.lines().find_map(|line| line.strip_prefix(&name)?.parse::<f64>().ok()).unwrap()
    };
    (figure("sum"), figure("count"))
}

fn print_lag(place: &Place, when: &str, before: (f64, f64)) -> (f64, f64) {
    let after = observed(place, "folkmoot_registry_lag_seconds");
    let (sum, count) = (after.0 - before.0, after.1 - before.1);
    println!("{:>6.0} us  mean lag of the registry {when} ({count} observations)", 1e6 * sum / count.max(1.0));
    after
}

fn elements(browser: &Browser) -> u64 {
    browser.js("return document.querySelectorAll('*').length", Vec::new()).as_u64().unwrap()
}

/// The long tasks of the page since it was asked last, in milliseconds.
fn print_long_tasks(browser: &Browser, when: &str) {
    let body = "if (!window.tasks) { \
                  const keep = ({ duration }) => window.tasks.push(Math.round(duration)); \
                  new PerformanceObserver((list) => list.getEntries().forEach(keep)) \
                    .observe({ type: 'longtask', buffered: true }); \
                } \
                const tasks = window.tasks ?? []; window.tasks = []; return tasks";
    println!("           tasks of the page over 50 ms {when}: {}", browser.js(body, Vec::new()));
}

fn branch(browser: &Browser, name: &str) {
    let body = "[...document.querySelectorAll('.branch')].find((b) => b.textContent == arguments[0]).click()";
    browser.js(body, vec![name.into()]);
}

/// What the first row begins with.
fn first_row(browser: &Browser) -> String {
    browser.texts("tbody tr:first-child td:first-child").concat()
}

#[test]
fn ten_thousand_connections_in_five_thousand_groups_are_shown_page_by_page() {
    let test = "ten_thousand_connections_in_five_thousand_groups_are_shown_page_by_page";
    let Some(driver) = Driver::of_test(test) else { return };
    let place = Place::quiet(&[
        "--set",
        &format!("auth.access_keys=[\"{ACCESS_KEY}\"]"),
        "--set",
        "limits.connections_per_address=20000",
        "--set",
        "hubs.declared.chat.announcements.enabled=false",
    ]);
    let address = place.program.address;
    let crowd = Crowd::of_this_machine();
    let connections =
        took(&format!("{} connect", crowd.size), || gather(address, crowd.size, |number| crowd.person(number)));
    let lag = print_lag(&place, "while they connected", (0.0, 0.0));

    let browser = place.open(&driver);
    print_long_tasks(&browser, "before the login");
    took("from the login to the overview", || {
        log_in(&browser, "ops", PASSWORD);
        browser.wait_eq("everybody is counted", written(crowd.size), |browser| browser.text("#now-connections"));
    });
    browser.wait_eq("the groups are counted", written(crowd.groups() + 1), |browser| browser.text("#now-groups"));
    browser.wait_eq("the users are counted", written(crowd.users()), |browser| browser.text("#now-users"));
    assert!(elements(&browser) < 500, "{}", elements(&browser));

    // The tree: one page of a level, and of one branch.
    took("to the groups", || {
        view(&browser, "#/groups?hub=chat", "Groups of chat");
        browser.see_text(".tree li", &format!("{} groups", written(crowd.groups())));
    });
    browser.see_text(".tree li", &format!("{} members", written(crowd.size)));
    took("to a branch of them", || {
        branch(&browser, "plant/");
        browser.see_text(".branch", "02/");
    });
    took("to a branch of that", || {
        branch(&browser, "02/");
        browser.see("a[aria-label='plant/02/line-31']");
    });
    assert!(elements(&browser) < 1000, "{}", elements(&browser));

    // Members: a click on the way too many does not leave a page out.
    took("to a page of the members of a group of all", || {
        view(&browser, "#/members?hub=chat&group=all", "Members of all");
        browser.wait_eq("a page of members", PAGE, rows);
    });
    let first = first_row(&browser);
    took("to the next page", || {
        browser.js(
            "const next = document.querySelector('.pager button:nth-child(2)'); next.click(); next.click()",
            vec![],
        );
        browser.see_text("main .pager", "Page 2, 100 shown");
    });
    assert_eq!(rows(&browser), PAGE);
    browser.click(".pager button:first-child");
    browser.see_text("main .pager", "Page 1, 100 shown");
    assert_eq!(first_row(&browser), first);

    // Connections: by each filter, and by all of them.
    took("to a page of the connections", || {
        view(&browser, "#/connections?hub=chat", "Connections of chat");
        browser.wait_eq("a page of connections", PAGE, rows);
    });
    let stranger = crowd.stranger();
    let user = format!("user={}", crowd.user(stranger));
    let group = format!("group={}", crowd.group(stranger).replace('/', "%2F"));
    for (filter, expected) in [
        (user.clone(), 5),
        (group.clone(), 2),
        ("address=127.0.0.2".into(), 1),
        (format!("{user}&{group}&address=127.0.0.2"), 1),
        ("user=nobody".into(), 0),
    ] {
        took(&format!("to those with {filter}"), || {
            view(&browser, &format!("#/connections?hub=chat&{filter}"), "Connections of chat");
            let asked = "return [...new FormData(document.querySelector('.filter'))] \
                           .filter(([, value]) => value).map((field) => field.join('=')).sort().join('&')";
            let mut wanted: Vec<_> = filter.split('&').map(|field| field.replace("%2F", "/")).collect();
            wanted.sort();
            browser.wait_eq("the filter", wanted.join("&"), |browser| {
                browser.js(asked, Vec::new()).as_str().unwrap_or_default().to_owned()
            });
            browser.wait_eq(&filter, expected, rows);
            browser.see_text("main .pager", &format!("{expected} shown"));
        });
    }
    print_long_tasks(&browser, "in lists");
    let lag = print_lag(&place, "while lists were shown", lag);

    // The tail, while people come and go faster than anybody reads.
    view(&browser, "#/tail", "Live tail");
    let bustle =
        Bustle::begin(address, pause(), |number| Person::new(format!("guest-{}", number % 100), vec!["all".into()]));
    let begin = Instant::now();
    browser.wait_eq("a full tail", TAIL, rows);
    browser.see_text(".event", "not told");
    for _ in 0..3 {
        let before = first_row(&browser);
        browser.wait("the tail goes on", |browser| first_row(browser) != before);
        assert!(rows(&browser) <= TAIL);
    }
    browser.see_text("#state", "Live");
    browser.fill("main [type=search]", "guest-77");
    browser.wait("one guest alone", |browser| {
        let told = browser.texts("tbody tr");
        !told.is_empty() && told.iter().all(|row| row.contains("guest-77"))
    });
    // The other views show what there is meanwhile.
    took("to a page of the connections, beside them", || {
        view(&browser, "#/connections?hub=chat", "Connections of chat");
        browser.wait_eq("a page of connections", PAGE, rows);
    });
    println!("           {:.0} came and went a second", bustle.rounds() as f64 / begin.elapsed().as_secs_f64());
    drop(bustle);
    print_long_tasks(&browser, "in the tail");
    print_lag(&place, "while people came and went", lag);

    drop(connections);
    view(&browser, "#/overview", "Overview");
    browser.wait_eq("nobody is left", "0".to_owned(), |browser| browser.text("#now-connections"));
    browser.expect_clean_console();
}

/// Between two guests of a thread; who measures lets them come as fast as they can.
fn pause() -> Duration {
    let given = std::env::var("FOLKMOOT_PAUSE_MS").ok().and_then(|text| text.parse().ok());
    Duration::from_millis(given.unwrap_or(5))
}
