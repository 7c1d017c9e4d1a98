use serde::{Deserialize, Serialize, Serializer};

use crate::{
    Action, FieldError, JobId, NewCheck, NewTask,
    field::check_text,
    fingerprint::{TextHash, put_follow_ups},
    limits,
};

/// What the creator of a job says of it.
///
/// Everything but the options stays as it was created.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(from = "Fields<String, Vec<String>>")]
pub struct Definition {
    /// What people call the job; 1 to 256 bytes.
    pub name: String,
    /// Who created it; up to 128 bytes.
    pub created_by: String,
    /// Up to 32 tags of 1 to 64 bytes, each once; without commas and control characters. They are a
    /// set: their order is kept for readers, and does not make another definition.
    pub tags: Vec<String>,
    /// Free text for the program that runs the job; up to 64 KiB.
    pub options: Option<String>,
    /// Where the job comes from; up to 2048 bytes.
    pub source_link: Option<String>,
    /// How many days the tree is kept after its last job has finished, 1 to 36,500, whatever a
    /// retention rule that means it says. Only a root has it.
    pub keep_days: Option<u32>,
}

/// The fields as they are stored and sent.
#[derive(Serialize, Deserialize)]
struct Fields<T, L> {
    name: T,
    created_by: T,
    tags: L,
    options: Option<T>,
    last: LastFields<T>,
}

/// The source link, and the days that were added later: without these it is written as the link
/// alone was.
#[derive(Serialize, Deserialize)]
enum LastFields<T> {
    None,
    Link(T),
    Days(u32),
    LinkAndDays(T, u32),
}

impl Serialize for Definition {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { name, created_by, tags, options, source_link, keep_days } = self;
        let last = match (source_link.as_deref(), *keep_days) {
            (None, None) => LastFields::None,
            (Some(link), None) => LastFields::Link(link),
            (None, Some(days)) => LastFields::Days(days),
            (Some(link), Some(days)) => LastFields::LinkAndDays(link, days),
        };
        let options = options.as_deref();
        Fields { name: name.as_str(), created_by, tags, options, last }.serialize(serializer)
    }
}

impl From<Fields<String, Vec<String>>> for Definition {
    fn from(fields: Fields<String, Vec<String>>) -> Self {
        let Fields { name, created_by, tags, options, last } = fields;
        let (source_link, keep_days) = match last {
            LastFields::None => (None, None),
            LastFields::Link(link) => (Some(link), None),
            LastFields::Days(days) => (None, Some(days)),
            LastFields::LinkAndDays(link, days) => (Some(link), Some(days)),
        };
        Self { name, created_by, tags, options, source_link, keep_days }
    }
}

/// A hash of a creation: the same for the same definition under the same parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint(u128);

/// The hashes by which a repeated creation is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprints {
    /// The one that is stored.
    pub own: Fingerprint,
    /// With the tags in the order in which they were sent, as earlier versions computed it; jobs
    /// that they created have it.
    as_sent: Fingerprint,
}

impl Fingerprints {
    /// Whether a job that has this one was created by the same creation.
    #[must_use]
    pub fn has(&self, kept: Fingerprint) -> bool {
        kept == self.own || kept == self.as_sent
    }

    /// The fingerprints of the same creation with a task. Without one they stay as they are.
    #[must_use]
    pub fn with_task(self, task: Option<&NewTask>) -> Self {
        let Some(task) = task else { return self };
        // A task leaves out what is as by default, so its text does not change with later fields.
        let json = serde_json::to_string(task).expect("texts and numbers can be written as JSON");
        let with = |Fingerprint(print)| {
            let mut hash = TextHash::default();
            for text in [&format!("{print:x}"), "task", &json] {
                hash.put(Some(text));
            }
            Fingerprint(hash.long())
        };
        Self { own: with(self.own), as_sent: with(self.as_sent) }
    }
}

impl Definition {
    /// Checks every field of a job under `parent` against its limit.
    ///
    /// # Errors
    /// The first field that is past its limit or malformed.
    pub fn check(&self, parent: Option<JobId>) -> Result<(), FieldError> {
        check_text("name", &self.name, 1, limits::NAME)?;
        if self.name.chars().any(char::is_control) {
            return Err(FieldError::new("name", "must not contain control characters"));
        }
        check_text("createdBy", &self.created_by, 0, limits::CREATED_BY)?;
        if self.tags.len() > limits::TAGS {
            let reason = format!("has {} tags; at most {}", self.tags.len(), limits::TAGS);
            return Err(FieldError::new("tags", reason));
        }
        for (index, tag) in self.tags.iter().enumerate() {
            check_text(&format!("tags[{index}]"), tag, 1, limits::TAG)?;
            if tag.contains(',') || tag.chars().any(char::is_control) {
                let reason = "must not contain a comma or control characters";
                return Err(FieldError::new(format!("tags[{index}]"), reason));
            }
            if self.tags[..index].contains(tag) {
                return Err(FieldError::new(format!("tags[{index}]"), "is there twice"));
            }
        }
        if let Some(days) = self.keep_days {
            Self::check_keep_days(days, parent)?;
        }
        Self::check_options(self.options.as_deref())?;
        check_text("sourceLink", self.source_link.as_deref().unwrap_or(""), 0, limits::SOURCE_LINK)
    }

    fn check_keep_days(days: u32, parent: Option<JobId>) -> Result<(), FieldError> {
        let reason = match (parent, days) {
            (Some(_), _) => "only a root has it, for its whole tree".to_owned(),
            (None, 1..=limits::KEEP_DAYS) => return Ok(()),
            (None, _) => format!("must be 1 to {}", limits::KEEP_DAYS),
        };
        Err(FieldError::new("keepDays", reason))
    }

    /// Checks the options of a job against their limit.
    ///
    /// # Errors
    /// They are longer than 64 KiB.
    pub fn check_options(options: Option<&str>) -> Result<(), FieldError> {
        check_text("options", options.unwrap_or(""), 0, limits::OPTIONS)
    }

    /// About how much memory its texts take.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let Self { name, created_by, tags, options, source_link, keep_days: _ } = self;
        let optional = [options, source_link].map(|text| text.as_ref().map_or(0, String::len));
        let tags: usize = tags.iter().map(|tag| tag.len() + size_of::<String>()).sum();
        name.len() + created_by.len() + tags + optional.iter().sum::<usize>()
    }

    /// Whether a job cannot be told from the other one by what its creator says.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let Self { name, created_by, tags: _, options, source_link, keep_days } = self;
        *name == other.name
            && *created_by == other.created_by
            && *options == other.options
            && *source_link == other.source_link
            && *keep_days == other.keep_days
            && self.sorted_tags() == other.sorted_tags()
    }

    fn sorted_tags(&self) -> Vec<&str> {
        let mut tags: Vec<&str> = self.tags.iter().map(String::as_str).collect();
        tags.sort_unstable();
        tags
    }

    /// The fingerprint of this definition under `parent`, without actions and checks.
    #[must_use]
    pub fn fingerprint(&self, parent: Option<JobId>) -> Fingerprint {
        self.fingerprints(parent, &[], &[]).own
    }

    /// The fingerprints of this definition under `parent`, with these actions and checks.
    #[must_use]
    pub fn fingerprints(
        &self,
        parent: Option<JobId>,
        actions: &[Action],
        checks: &[NewCheck],
    ) -> Fingerprints {
        let sorted = self.sorted_tags();
        let own = self.fingerprint_with(parent, &sorted, actions, checks);
        let as_sent = if sorted.iter().eq(&self.tags) {
            own
        } else {
            let sent: Vec<&str> = self.tags.iter().map(String::as_str).collect();
            self.fingerprint_with(parent, &sent, actions, checks)
        };
        Fingerprints { own, as_sent }
    }

    fn fingerprint_with(
        &self,
        parent: Option<JobId>,
        tags: &[&str],
        actions: &[Action],
        checks: &[NewCheck],
    ) -> Fingerprint {
        let mut hash = TextHash::default();
        let mut put = |text: Option<&str>| hash.put(text);
        put(Some(&parent.map_or(0, JobId::get).to_string()));
        put(Some(&self.name));
        put(Some(&self.created_by));
        put(self.options.as_deref());
        put(self.source_link.as_deref());
        for tag in tags {
            put(Some(tag));
        }
        // Without it the hash is that of before there was this field.
        if let Some(days) = self.keep_days {
            put(None);
            put(Some("keepDays"));
            put(Some(&days.to_string()));
        }
        put_follow_ups(actions, checks, &mut put);
        Fingerprint(hash.long())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> Definition {
        Definition { name: name.into(), ..Definition::default() }
    }

    #[test]
    fn each_field_is_checked_at_and_past_its_limit() {
        let full = Definition {
            name: "n".repeat(limits::NAME),
            created_by: "c".repeat(limits::CREATED_BY),
            tags: (0..limits::TAGS).map(|i| format!("{i:0>64}")).collect(),
            options: Some("o".repeat(limits::OPTIONS)),
            source_link: Some("s".repeat(limits::SOURCE_LINK)),
            keep_days: Some(limits::KEEP_DAYS),
        };
        assert_eq!(full.check(None), Ok(()));
        assert_eq!(full.check(JobId::new(1)).unwrap_err().field, "keepDays");
        type Spoil = fn(&mut Definition);
        let cases: [(&str, Spoil); 12] = [
            ("name", |d| d.name.push('n')),
            ("name", |d| d.name.clear()),
            ("name", |d| d.name = "a\nb".into()),
            ("createdBy", |d| d.created_by.push('c')),
            ("tags", |d| d.tags.push("one more".into())),
            ("tags[0]", |d| d.tags[0].push('t')),
            ("tags[0]", |d| d.tags[0] = "a,b".into()),
            ("tags[31]", |d| d.tags[31] = d.tags[0].clone()),
            ("options", |d| d.options.as_mut().unwrap().push('o')),
            ("sourceLink", |d| d.source_link.as_mut().unwrap().push('s')),
            ("keepDays", |d| d.keep_days = Some(limits::KEEP_DAYS + 1)),
            ("keepDays", |d| d.keep_days = Some(0)),
        ];
        for (field, spoil) in cases {
            let mut definition = full.clone();
            spoil(&mut definition);
            assert_eq!(definition.check(None).unwrap_err().field, field);
        }
    }

    #[test]
    fn fingerprints_tell_definitions_apart() {
        let id = JobId::new(7);
        let print = |definition: &Definition| definition.fingerprint(id);
        let base = named("a");
        let cases = [
            named("b"),
            Definition { created_by: "a".into(), ..base.clone() },
            Definition { tags: vec!["a".into()], ..base.clone() },
            Definition { options: Some(String::new()), ..base.clone() },
            Definition { source_link: Some(String::new()), ..base.clone() },
            Definition { keep_days: Some(1), ..base.clone() },
            Definition { keep_days: Some(2), ..base.clone() },
            Definition { tags: vec!["keepDays".into(), "1".into()], ..base.clone() },
        ];
        for (index, other) in cases.iter().enumerate() {
            assert_ne!(print(other), print(&base), "{other:?}");
            assert!(!cases[..index].iter().any(|case| print(case) == print(other)), "{other:?}");
        }
        assert_ne!(base.fingerprint(None), print(&base));
        // Written down once: it is stored, so it may never change.
        assert_eq!(print(&base), Fingerprint(6947789093636933110516394629852879028));
    }

    #[test]
    fn tags_are_a_set() {
        let tagged = |tags: &[&str]| Definition {
            tags: tags.iter().map(|&tag| tag.to_owned()).collect(),
            ..named("a")
        };
        let [one, other] = [tagged(&["b", "a", "c"]), tagged(&["c", "b", "a"])];
        let prints = |definition: &Definition| definition.fingerprints(None, &[], &[]);
        assert!(one.is_same(&other) && prints(&other).has(prints(&one).own));
        assert!(!one.is_same(&tagged(&["a", "b"])));
        assert!(!prints(&one).has(prints(&tagged(&["a", "b"])).own));
        // Stored when the order counted: a job of that time is still recognized.
        assert!(prints(&one).has(Fingerprint(306502694037586735045800341484494935241)));
        assert_ne!(prints(&one).own, Fingerprint(306502694037586735045800341484494935241));
    }
}
