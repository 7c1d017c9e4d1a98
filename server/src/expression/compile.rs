use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, LazyLock},
};

use cel::{
    Context, Env, IdedExpr, Value,
    common::{ast::SourceInfo, types::CelBool},
};
use jobtracker_model::limits;
use jobtracker_store::JobRow;

use super::{
    check,
    invalid::{Invalid, Positions},
    row::Row,
};

/// The greatest nesting depth of brackets, calls and conditionals in the text.
const NESTING_MAX: u16 = 32;

static ENVIRONMENT: LazyLock<Arc<Env>> =
    LazyLock::new(|| Arc::new(Env::stdlib().with_optional_support(false)));

/// A compiled filter.
#[derive(Debug)]
pub(crate) struct Expression {
    root: IdedExpr,
    steps: usize,
}

impl Expression {
    pub fn compile(source: &str) -> Result<Self, Invalid> {
        if source.len() > limits::EXPRESSION {
            let (length, max) = (source.len(), limits::EXPRESSION);
            return Err(Invalid::new(format!("it has {length} bytes; it may have {max}")));
        }
        let (root, places) = parse(source)?;
        let steps = check::steps(&root, &Positions { source, info: &places })?;
        let expression = Self { root, steps };
        // The type of the result shows only at a job; any job will do. An expression that cannot be
        // evaluated here may work for others.
        match expression.evaluate(&Row::sample()) {
            Ok(None) => Err(Invalid::new("it does not say true or false")),
            _ => Ok(expression),
        }
    }

    /// About how many operations one evaluation takes at most.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// Whether the expression is true for the job. A comparison with a time that the job does not
    /// have yet is false.
    pub fn matches(&self, job: &JobRow) -> Result<bool, Invalid> {
        let row = Row::of(job);
        match self.evaluate(&row) {
            Ok(Some(answer)) => Ok(answer),
            Ok(None) => {
                Err(Invalid::new(format!("it does not say true or false of job {}", job.id)))
            }
            Err(_) if self.evaluate(&row.with_all_times()).is_ok() => Ok(false),
            Err(reason) => Err(Invalid::new(format!("it fails at job {}: {reason}", job.id))),
        }
    }

    /// `None` if the result is not a truth value.
    fn evaluate(&self, row: &Row) -> Result<Option<bool>, Invalid> {
        let evaluating = AssertUnwindSafe(|| {
            let mut context = Context::with_env(Arc::clone(&ENVIRONMENT));
            context.set_variable_resolver(row);
            let value = Value::resolve_val(&self.root, &context);
            value.map(|value| value.downcast_ref::<CelBool>().map(|answer| *answer.inner()))
        });
        match catch_unwind(evaluating) {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(Invalid::new(error.to_string())),
            Err(_) => Err(Invalid::new("the evaluator could not cope with it")),
        }
    }
}

/// The parser is a foreign library, and so are its panics.
fn parse(source: &str) -> Result<(IdedExpr, SourceInfo), Invalid> {
    let parsing = AssertUnwindSafe(|| {
        let parser = ENVIRONMENT.parser().max_recursion_depth(NESTING_MAX);
        parser.parse_with_source_info(source)
    });
    match catch_unwind(parsing) {
        Ok(Ok(parsed)) => Ok(parsed),
        Ok(Err(errors)) => Err(errors.errors.first().map_or_else(
            || Invalid::new("it cannot be parsed"),
            |first| {
                let nested = first.msg.contains("Recursion limit");
                let deep = format!("nested deeper than {NESTING_MAX}");
                let reason = if nested { &deep } else { &first.msg };
                let (line, column) = first.pos;
                Invalid::at(line.max(1) as usize, column.max(1) as usize, reason)
            },
        )),
        Err(_) => Err(Invalid::new("the parser could not cope with it")),
    }
}

#[cfg(test)]
mod tests;
