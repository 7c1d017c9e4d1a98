//! `jobtracker token`: tokens of a running service, over HTTP. A part of the command line, like
//! `main.rs`.

use anyhow::Context;
use clap::{Args, Subcommand};
use jobtracker_client::{JobTrackerClient, ListPage};
use jobtracker_model::{NewToken, Role, Timestamp, Token};
use jobtracker_server::moving;

use crate::{service::ServiceArguments, terminal};

#[derive(Args)]
pub struct TokenArguments {
    #[command(subcommand)]
    command: TokenCommand,
    #[command(flatten)]
    service: ServiceArguments,
}

#[derive(Subcommand)]
enum TokenCommand {
    /// Make a token and print it; it cannot be shown again
    Create {
        /// Who or what will use it
        name: String,
        /// reader, writer, operator or admin; each may do what those before it may
        #[arg(long)]
        role: Role,
        /// How long it is accepted, such as 90d, 12h or 30m; for ever without this
        #[arg(long, value_name = "TIME", value_parser = lifetime)]
        expires: Option<i64>,
    },
    /// List the tokens
    List,
    /// Have a token not accepted any more
    Revoke {
        /// Its name
        name: String,
    },
}

pub fn token(arguments: TokenArguments) -> anyhow::Result<()> {
    let TokenArguments { command, service } = arguments;
    let client = service.client()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match command {
            TokenCommand::Create { name, role, expires } => {
                create(&client, name, role, expires).await
            }
            TokenCommand::List => list(&client).await,
            TokenCommand::Revoke { name } => {
                client.revoke_token(&name).await?;
                terminal::tell(format_args!("revoked {name}; every server refuses it in seconds"));
                Ok(())
            }
        }
    })
}

async fn create(
    client: &JobTrackerClient,
    name: String,
    role: Role,
    expires: Option<i64>,
) -> anyhow::Result<()> {
    let expire_time = expires.map(|millis| end(moving::now(), millis)).transpose()?;
    let created = client.create_token(&NewToken { name, role, expire_time }).await?;
    // At once: it cannot be had again.
    terminal::print(&created.secret)?;
    // The token is made, so an error is none of this command.
    if client.session().await.is_ok_and(|session| !session.token_required) {
        terminal::tell("the service requires no token: set auth.token to have it ask for tokens");
    }
    Ok(())
}

/// When a token ends that is made now.
fn end(now: Timestamp, millis: i64) -> anyhow::Result<Timestamp> {
    let end = now.millis().checked_add(millis).and_then(Timestamp::from_millis);
    end.context("--expires is too long: no time is that far away")
}

async fn list(client: &JobTrackerClient) -> anyhow::Result<()> {
    let mut page = ListPage::default();
    terminal::print(format_args!(
        "{:24} {:8} {:24} {:24} {:24} created by",
        "name", "role", "created", "last used", "ends"
    ))?;
    loop {
        let tokens = client.tokens(page.clone()).await?;
        for token in &tokens.items {
            let Token { name, role, create_time, created_by, expire_time, .. } = token;
            let shown = |time: &Option<Timestamp>| {
                time.map_or_else(|| "never".to_owned(), |time| time.to_string())
            };
            let end = match token.revoke_time {
                Some(time) => format!("revoked {time}"),
                None => shown(expire_time),
            };
            let (created, used) = (create_time.to_string(), shown(&token.last_use_time));
            terminal::print(format_args!(
                "{name:24} {role:8} {created:24} {used:24} {end:24} {created_by}"
            ))?;
        }
        page.cursor = tokens.next_cursor;
        if page.cursor.is_none() {
            return Ok(());
        }
    }
}

/// Milliseconds of a number with the unit d, h or m.
fn lifetime(text: &str) -> Result<i64, String> {
    let units = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000)];
    let found = units.into_iter().find_map(|(unit, millis)| {
        let count: i64 = text.strip_suffix(unit)?.parse().ok()?;
        count.checked_mul(millis).filter(|millis| *millis > 0)
    });
    found.ok_or_else(|| "is a number with a unit, such as 90d, 12h or 30m".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lifetime_has_a_unit() {
        for (text, millis) in [("90d", 7_776_000_000), ("12h", 43_200_000), ("1m", 60_000)] {
            assert_eq!(lifetime(text), Ok(millis));
        }
        for text in ["", "90", "d", "-1d", "0h", "1.5h", "1y", "9999999999999999d"] {
            assert!(lifetime(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_token_ends_at_a_time_that_there_is() {
        let now = Timestamp::from_millis(1_795_253_400_000).unwrap();
        assert_eq!(end(now, 60_000).unwrap().millis(), 1_795_253_460_000);
        for far in [Timestamp::MAX.millis(), i64::MAX] {
            assert!(end(now, far).unwrap_err().to_string().contains("--expires"));
        }
    }
}
