//! Values at the bounds of a JSON Schema and beyond them, for the keywords that the document uses.

use regex::Regex;
use serde_json::{Map, Value, json};

/// The document, as the service sends it.
pub struct Document(pub Value);

/// A value, and whether its schema allows it.
#[derive(Clone)]
pub struct Try {
    pub value: Value,
    pub is_allowed: bool,
    pub what: String,
}

impl Try {
    fn new(value: impl Into<Value>, is_allowed: bool, what: &str) -> Self {
        Self { value: value.into(), is_allowed, what: what.to_owned() }
    }
}

/// The first of these texts that fits is a sample; its last character may be repeated.
const SAMPLES: &[&str] = &[
    "a",
    "a/b",
    "https://hooks.invalid",
    "a@b.invalid",
    "7-3",
    "start",
    "Running",
    "leased",
    "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    "2026-11-21T09:30:00Z",
];
/// Texts that some patterns refuse.
const ODD: &[&str] = &["a\u{1}", "a,b", "a\nb", "a:b", "a b", "ftp://a", "..", "", "whsec_a b"];

impl Document {
    pub fn served() -> Self {
        Self(serde_json::from_str(jobtracker_server::openapi_document()).unwrap())
    }

    /// A schema without references and without the alternative of null.
    fn resolved(&self, schema: &Value) -> Map<String, Value> {
        let mut whole = Map::new();
        if let Some(reference) = schema["$ref"].as_str() {
            whole = self.resolved(self.0.pointer(&reference[1..]).unwrap());
        }
        let choices = schema["oneOf"].as_array();
        let null = json!({"type": "null"});
        let is_nullable = choices.is_some_and(|choices| choices.contains(&null));
        if is_nullable {
            let other = choices.unwrap().iter().find(|choice| **choice != null).unwrap();
            whole = self.resolved(other);
        }
        for (name, value) in schema.as_object().unwrap() {
            if name != "$ref" && !(name == "oneOf" && is_nullable) {
                whole.insert(name.clone(), value.clone());
            }
        }
        whole
    }

    /// An allowed value.
    pub fn sample(&self, name: &str, schema: &Value) -> Value {
        self.samples(name, schema, 1).remove(0)
    }

    /// Several allowed values, different if possible.
    fn samples(&self, name: &str, schema: &Value, count: usize) -> Vec<Value> {
        let schema = Value::Object(self.resolved(schema));
        let sample = match type_of(&schema) {
            "string" if schema["format"] == "email" => {
                return (0..count).map(|at| json!(format!("{name}{at}@b.invalid"))).collect();
            }
            "string" if count > 1 && is_free(&schema) => {
                return (0..count)
                    .map(|at| json!(format!("{}{at}", text(name, &schema))))
                    .collect();
            }
            "string" if count > 1 && schema["enum"].is_null() => {
                return (0..count).map(|at| json!(format!("a{at}"))).collect();
            }
            "string" => json!(text(name, &schema)),
            "integer" => json!(schema["minimum"].as_i64().unwrap_or(0).max(1)),
            "array" => Value::Array(self.samples(name, &schema["items"], 1)),
            "object" => Value::Object(self.bases(&schema).remove(0).0),
            "" if schema["oneOf"].is_array() => self.sample(name, &schema["oneOf"][0]),
            _ => json!(true),
        };
        vec![sample; count]
    }

    /// Values at the bounds and beyond.
    pub fn tries(&self, name: &str, schema: &Value) -> Vec<Try> {
        let schema = Value::Object(self.resolved(schema));
        let mut tries = match type_of(&schema) {
            "string" => texts(name, &schema),
            "integer" => numbers(&schema),
            "array" => self.lists(name, &schema),
            "object" => self.objects(&schema),
            "" if schema["oneOf"].is_array() => {
                let alternatives = schema["oneOf"].as_array().unwrap().iter();
                alternatives.flat_map(|alternative| self.tries(name, alternative)).collect()
            }
            "boolean" => vec![Try::new(true, true, "a flag"), Try::new("maybe", false, "no flag")],
            _ => Vec::new(),
        };
        if type_of(&schema) != "boolean" && !type_of(&schema).is_empty() {
            tries.push(Try::new(false, false, "another type"));
        }
        tries
    }

    fn lists(&self, name: &str, schema: &Value) -> Vec<Try> {
        let list = |count: u64| self.samples(name, &schema["items"], count as usize);
        let mut tries = Vec::new();
        if let Some(min) = schema["minItems"].as_u64().filter(|min| *min > 0) {
            tries.push(Try::new(list(min), true, "fewest items"));
            tries.push(Try::new(list(min - 1), false, "too few items"));
        }
        if let Some(max) = schema["maxItems"].as_u64() {
            tries.push(Try::new(list(max), true, "most items"));
            tries.push(Try::new(list(max + 1), false, "too many items"));
        }
        if schema["uniqueItems"] == true {
            let sample = list(1).remove(0);
            tries.push(Try::new(vec![sample.clone(), sample], false, "an item twice"));
        }
        for item in self.tries(name, &schema["items"]) {
            tries.push(Try { value: json!([item.value]), ..item });
        }
        tries
    }

    fn objects(&self, schema: &Value) -> Vec<Try> {
        let mut tries = Vec::new();
        if schema["additionalProperties"].is_object() {
            return self.maps(schema);
        }
        for (base, absent) in self.bases(schema) {
            tries.push(Try::new(base.clone(), true, "what is required"));
            let with = |name: &str, value: Value| {
                let mut object = base.clone();
                object.insert(name.to_owned(), value);
                let needs = schema["dependentRequired"][name].as_array();
                for other in needs.into_iter().flatten().filter_map(Value::as_str) {
                    let sample = self.sample(other, &schema["properties"][other]);
                    object.insert(other.to_owned(), sample);
                }
                object
            };
            for (name, property) in schema["properties"].as_object().unwrap() {
                let known = if base.contains_key(name) && base[name].is_string() {
                    // The base has chosen the kind.
                    name == "kind"
                } else {
                    absent.contains(name)
                };
                if known {
                    continue;
                }
                for property in self.tries(name, property) {
                    let what = format!("{name}: {}", property.what);
                    tries.push(Try::new(with(name, property.value), property.is_allowed, &what));
                }
            }
            for name in base.keys() {
                let mut object = base.clone();
                object.remove(name);
                tries.push(Try::new(object, false, &format!("without {name}")));
            }
            if schema["additionalProperties"] == false {
                tries.push(Try::new(with("surplus", json!(1)), false, "an unknown field"));
            }
        }
        tries
    }

    fn maps(&self, schema: &Value) -> Vec<Try> {
        let value = self.sample("", &schema["additionalProperties"]);
        let map = |count: u64| -> Map<String, Value> {
            (0..count).map(|at| (format!("x-{at}"), value.clone())).collect()
        };
        let max = schema["maxProperties"].as_u64().unwrap();
        let mut tries = vec![
            Try::new(map(max), true, "most entries"),
            Try::new(map(max + 1), false, "too many entries"),
        ];
        for name in texts("", &schema["propertyNames"]) {
            let Some(text) = name.value.as_str() else { continue };
            tries.push(Try { value: json!({text: value}), ..name });
        }
        for entry in self.tries("", &schema["additionalProperties"]) {
            tries.push(Try { value: json!({"x-a": entry.value}), ..entry });
        }
        tries
    }

    /// The smallest allowed objects, one for each alternative, each with the fields that it must
    /// not have. Each has only required fields.
    fn bases(&self, schema: &Value) -> Vec<(Map<String, Value>, Vec<String>)> {
        let none = vec![json!({})];
        let choices = |name: &str| schema[name].as_array().unwrap_or(&none).clone();
        let mut bases = Vec::new();
        for one in choices("oneOf") {
            for any in choices("anyOf") {
                let (mut base, mut absent) = (Map::new(), Vec::new());
                for part in [schema, &one, &any] {
                    for name in part["required"].as_array().into_iter().flatten() {
                        let name = name.as_str().unwrap();
                        let property = &schema["properties"][name];
                        base.insert(name.to_owned(), self.sample(name, property));
                    }
                }
                for (name, property) in one["properties"].as_object().into_iter().flatten() {
                    match (&property["const"], property["type"].as_str()) {
                        (Value::Null, Some("null")) => absent.push(name.clone()),
                        (Value::Null, _) => {}
                        (value, _) => {
                            base.insert(name.clone(), value.clone());
                        }
                    }
                }
                if !absent.iter().any(|name| base.contains_key(name)) {
                    bases.push((base, absent));
                }
            }
        }
        bases
    }
}

/// Whether every text is allowed, up to a length.
fn is_free(schema: &Value) -> bool {
    ["pattern", "enum", "format"].iter().all(|key| schema[*key].is_null())
}

/// The type of a value, besides null.
fn type_of(schema: &Value) -> &str {
    let one = schema["type"].as_str();
    let mut many = schema["type"].as_array().into_iter().flatten().filter_map(Value::as_str);
    one.or_else(|| many.find(|name| *name != "null")).unwrap_or("")
}

fn pattern(schema: &Value) -> Option<Regex> {
    schema["pattern"].as_str().map(|pattern| Regex::new(pattern).unwrap())
}

/// An allowed text.
fn text(name: &str, schema: &Value) -> String {
    if name == "expression" {
        // Spaces after it mean nothing.
        return "true ".into();
    }
    let takes = |text: &str| pattern(schema).is_some_and(|pattern| pattern.is_match(text));
    // No schema says what these texts mean.
    match name {
        // Spaces after it mean nothing.
        "pattern" => return "* * * * * ".into(),
        "zone" => return "UTC".into(),
        "from" if takes("00:00") => return "00:00".into(),
        "to" if takes("24:00") => return "24:00".into(),
        _ => {}
    }
    if let Some(names) = schema["enum"].as_array() {
        let refused = &schema["not"]["const"];
        return names.iter().find(|name| *name != refused).unwrap().as_str().unwrap().into();
    }
    if schema["format"] == "date-time" {
        return "2026-11-21T09:30:00Z".into();
    }
    let pattern = pattern(schema);
    let min = schema["minLength"].as_u64().unwrap_or(0) as usize;
    let fits = |text: &&&str| pattern.as_ref().is_none_or(|pattern| pattern.is_match(text));
    let long = |text: &&&str| text.len() >= min;
    (*SAMPLES.iter().filter(fits).find(long).unwrap()).to_owned()
}

fn texts(name: &str, schema: &Value) -> Vec<Try> {
    let mut tries = Vec::new();
    if let Some(names) = schema["enum"].as_array() {
        for value in names {
            tries.push(Try::new(value.clone(), *value != schema["not"]["const"], "a name"));
        }
        tries.push(Try::new("nonsense", false, "no name"));
        return tries;
    }
    let sample = text(name, schema);
    tries.push(Try::new(sample.clone(), true, "a sample"));
    if schema["format"] == "date-time" {
        tries.push(Try::new("yesterday", false, "no time"));
        return tries;
    }
    let pattern = pattern(schema);
    let fits = |text: &str| pattern.as_ref().is_none_or(|pattern| pattern.is_match(text));
    let stretched = |length: u64| {
        let last = sample.chars().last().unwrap_or('a').to_string();
        sample.clone() + &last.repeat((length as usize).saturating_sub(sample.len()))
    };
    if let Some(max) = schema["maxLength"].as_u64() {
        // The document does not bound the parts of an e-mail address or of a host.
        let whole = if sample.starts_with("https") { format!("{sample}/") } else { String::new() };
        let longest = if whole.is_empty() { stretched(max) } else { stretch_path(&whole, max) };
        if fits(&longest) && schema["format"] != "email" {
            tries.push(Try::new(longest, true, "the longest"));
        }
        tries.push(Try::new(stretched(max + 1), false, "too long"));
    }
    if let Some(min) = schema["minLength"].as_u64().filter(|min| *min > 0) {
        let cut: String = sample.chars().take(min as usize - 1).collect();
        tries.push(Try::new(cut, false, "too short"));
    }
    for odd in ODD.iter().filter(|odd| !fits(odd)) {
        tries.push(Try::new(*odd, false, "another form"));
    }
    tries
}

fn stretch_path(start: &str, length: u64) -> String {
    start.to_owned() + &"a".repeat(length as usize - start.len())
}

fn numbers(schema: &Value) -> Vec<Try> {
    let mut tries = vec![Try::new(1.5, false, "a fraction")];
    if let Some(min) = schema["minimum"].as_i64() {
        tries.push(Try::new(min, true, "the least"));
        tries.push(Try::new(min - 1, false, "too little"));
    }
    if let Some(max) = schema["maximum"].as_u64() {
        tries.push(Try::new(max, true, "the most"));
        tries.push(Try::new(max + 1, false, "too much"));
    }
    tries
}
