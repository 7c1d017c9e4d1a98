use jiff::civil::{Date, Time, Weekday as Day};
use jobtracker_model::{
    FieldError, Timestamp,
    schedule::{DailyWindow, Weekday},
};

use crate::zone::Zone;

/// Daily windows, ready to be asked.
#[derive(Debug, Clone, Default)]
pub(crate) struct Windows(Vec<(DailyWindow, Zone)>);

/// Days from one window to the next one of the same kind, at most, and one for daylight saving.
const DAYS: usize = 9;

impl Windows {
    pub fn new(windows: &[DailyWindow]) -> Result<Self, FieldError> {
        let ready = windows.iter().map(|window| Ok((window.clone(), Zone::new(&window.zone)?)));
        ready.collect::<Result<_, _>>().map(Self)
    }

    /// This time if it is in a window, otherwise the begin of the next one; without windows every
    /// time is in one.
    pub fn at_or_behind(&self, time: Timestamp) -> Option<Timestamp> {
        if self.0.is_empty() {
            return Some(time);
        }
        self.0.iter().filter_map(|(window, zone)| next(window, zone, time)).min()
    }
}

fn next(window: &DailyWindow, zone: &Zone, time: Timestamp) -> Option<Timestamp> {
    let first = zone.local(time)?.date().yesterday().ok()?;
    let days = first.series(jiff::Span::new().days(1)).take(DAYS);
    for date in days.filter(|date| is_meant(window, *date)) {
        let (from, to) = (window.from.minutes(), window.to.minutes());
        let (from, to) = (instant(zone, date, from)?, instant(zone, date, to)?);
        if time < to && from < to {
            return Some(time.max(from));
        }
    }
    None
}

fn is_meant(window: &DailyWindow, date: Date) -> bool {
    let day = match date.weekday() {
        Day::Monday => Weekday::Monday,
        Day::Tuesday => Weekday::Tuesday,
        Day::Wednesday => Weekday::Wednesday,
        Day::Thursday => Weekday::Thursday,
        Day::Friday => Weekday::Friday,
        Day::Saturday => Weekday::Saturday,
        Day::Sunday => Weekday::Sunday,
    };
    window.days.is_empty() || window.days.contains(&day)
}

fn instant(zone: &Zone, date: Date, minutes: u16) -> Option<Timestamp> {
    let (date, minutes) =
        if minutes == 24 * 60 { (date.tomorrow().ok()?, 0) } else { (date, minutes) };
    let time = Time::new((minutes / 60) as i8, (minutes % 60) as i8, 0, 0).ok()?;
    zone.instant(date.to_datetime(time))
}
