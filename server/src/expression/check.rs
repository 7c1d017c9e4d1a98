use cel::{
    IdedExpr,
    common::ast::{ComprehensionExpr, EntryExpr, Expr},
};
use jobtracker_model::limits;

use super::{
    invalid::{Invalid, Positions},
    row,
};

/// Operations that one evaluation may take.
const STEPS_MAX: usize = 2_000;
/// The greatest nesting depth of the parsed expression: `1+1+1` has depth three.
const DEPTH_MAX: usize = 64;

/// The functions that may be called besides the operators. None of them makes a value grow: a text
/// is as long as the texts it consists of, and those are bounded by the job and by the expression.
const FUNCTIONS: [&str; 21] = [
    "size",
    "contains",
    "startsWith",
    "endsWith",
    "int",
    "uint",
    "double",
    "string",
    "bool",
    "timestamp",
    "duration",
    "getFullYear",
    "getMonth",
    "getDate",
    "getDayOfMonth",
    "getDayOfWeek",
    "getDayOfYear",
    "getHours",
    "getMinutes",
    "getSeconds",
    "getMilliseconds",
];

/// Checks that an expression uses only known names and costs no more than allowed; answers the most
/// operations that an evaluation can take.
pub(super) fn steps(root: &IdedExpr, places: &Positions<'_>) -> Result<usize, Invalid> {
    let mut walk = Walk { places, scopes: Vec::new(), depth: 0 };
    let steps = walk.cost(root)?;
    if steps > STEPS_MAX {
        let reason = format!("it could take {steps} steps for each job; it may take {STEPS_MAX}");
        return Err(Invalid::new(reason));
    }
    Ok(steps)
}

struct Walk<'a> {
    places: &'a Positions<'a>,
    /// The variables of the enclosing comprehensions.
    scopes: Vec<String>,
    depth: usize,
}

impl Walk<'_> {
    fn cost(&mut self, part: &IdedExpr) -> Result<usize, Invalid> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            let reason = format!("more than {DEPTH_MAX} operations in a row; use brackets");
            return Err(self.places.invalid(part, &reason));
        }
        let cost = self.cost_inside(part)?;
        self.depth -= 1;
        Ok(cost.saturating_add(1))
    }

    fn cost_inside(&mut self, part: &IdedExpr) -> Result<usize, Invalid> {
        match &part.expr {
            Expr::Literal(_) => Ok(0),
            Expr::Ident(name) => self.known(part, name),
            Expr::Select(select) => self.cost(&select.operand),
            Expr::List(list) => self.sum(&list.elements),
            Expr::Call(call) => {
                let known =
                    is_operator(&call.func_name) || FUNCTIONS.contains(&call.func_name.as_str());
                if !known {
                    let reason = format!("there is no function {:?} here", call.func_name);
                    return Err(self.places.invalid(part, &reason));
                }
                let target = call.target.as_deref().map_or(Ok(0), |target| self.cost(target))?;
                Ok(target.saturating_add(self.sum(&call.args)?))
            }
            Expr::Map(map) => {
                let mut cost: usize = 0;
                for entry in &map.entries {
                    let EntryExpr::MapEntry(entry) = &entry.expr else { continue };
                    let both = self.cost(&entry.key)?.saturating_add(self.cost(&entry.value)?);
                    cost = cost.saturating_add(both);
                }
                Ok(cost)
            }
            Expr::Comprehension(comprehension) => self.comprehension(part, comprehension),
            Expr::Struct(_) => Err(self.places.invalid(part, "there are no types to make here")),
            Expr::Unspecified => Err(self.places.invalid(part, "something is missing here")),
        }
    }

    fn sum(&mut self, parts: &[IdedExpr]) -> Result<usize, Invalid> {
        parts.iter().try_fold(0, |sum: usize, part| Ok(sum.saturating_add(self.cost(part)?)))
    }

    fn known(&self, part: &IdedExpr, name: &str) -> Result<usize, Invalid> {
        if row::VARIABLES.contains(&name) || self.scopes.iter().any(|scope| scope == name) {
            return Ok(0);
        }
        let names = row::VARIABLES.join(", ");
        let reason = format!("there is no variable {name:?}; there are {names}");
        Err(self.places.invalid(part, &reason))
    }

    /// `all`, `exists`, `exists_one`, `map` and `filter`, each of which the parser expands to a
    /// loop.
    fn comprehension(
        &mut self,
        part: &IdedExpr,
        inner: &ComprehensionExpr,
    ) -> Result<usize, Invalid> {
        if !self.scopes.is_empty() {
            let reason = "a loop (all, exists, map, filter) inside another one";
            return Err(self.places.invalid(part, reason));
        }
        let rounds = self.length(&inner.iter_range)?;
        let range = self.cost(&inner.iter_range)?;
        self.scopes = vec![inner.iter_var.clone(), inner.accu_var.clone()];
        self.scopes.extend(inner.iter_var2.clone());
        let once = self.cost(&inner.accu_init)?.saturating_add(self.cost(&inner.result)?);
        let round = self.cost(&inner.loop_cond)?.saturating_add(self.cost(&inner.loop_step)?);
        self.scopes.clear();
        Ok(range.saturating_add(once).saturating_add(rounds.saturating_mul(round)))
    }

    /// The most rounds that a loop over this can take.
    fn length(&self, range: &IdedExpr) -> Result<usize, Invalid> {
        match &range.expr {
            Expr::Ident(name) if name == "tags" => Ok(limits::TAGS),
            Expr::List(list) => Ok(list.elements.len()),
            Expr::Comprehension(inner) => self.length(&inner.iter_range),
            _ => Err(self.places.invalid(range, "a loop goes over tags or a list written out")),
        }
    }
}

/// Operators are calls with names that no text can spell; `has` is not a call: the parser expands
/// it.
fn is_operator(name: &str) -> bool {
    name.contains('_') && !name.starts_with(|letter: char| letter.is_ascii_alphabetic())
        || name.starts_with(['@', '!', '-'])
}
