//! The reference pages that the program itself can write.

use clap::{Arg, Command, Subcommand as _};

/// What almost every command has: the page lists it once, above the commands.
const COMMON: [&str; 4] = ["help", "data", "log", "config"];

#[test]
fn the_page_about_the_command_line_says_what_the_program_says() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reference/cli.md");
    let page = std::fs::read_to_string(path).unwrap();
    let (by_hand, _) = page.split_once("## Commands\n").unwrap();
    let mut program = rewardhub::commands::Command::augment_subcommands(Command::new("rewardhub"));
    program.build();
    let sections: String = commands(&program).map(section).collect();
    let expected = format!("{by_hand}## Commands\n{sections}");
    if std::env::var_os("UPDATE_CLI").is_some() {
        std::fs::write(path, &expected).unwrap();
    } else {
        assert_eq!(page, expected, "docs/reference/cli.md is stale: run the tests with UPDATE_CLI=1");
    }
}

#[test]
fn help_on_a_terminal_has_no_markup() {
    fn all(command: &mut Command, helps: &mut Vec<String>) {
        helps.extend([command.render_help().to_string(), command.render_long_help().to_string()]);
        command.get_subcommands_mut().for_each(|command| all(command, helps));
    }
    let program = rewardhub::commands::Command::augment_subcommands(Command::new("rewardhub"));
    let (mut program, mut helps) = (rewardhub::commands::plain(program), vec![]);
    program.build();
    all(&mut program, &mut helps);
    assert!(helps.len() > 80, "{}", helps.len());
    for help in helps {
        assert!(!["`", "<http", "<postgres", "[`"].iter().any(|markup| help.contains(markup)), "{help}");
    }
}

fn section(command: &Command) -> String {
    let (name, about) = (command.get_name(), about(command));
    if command.has_subcommands() {
        let rows = commands(command).map(|action| row(&signature(name, action), &self::about(action)));
        return format!("\n### {name}\n\n{about}.\n\n| command | |\n|---|---|\n{}", rows.collect::<String>());
    }
    let usage = command.clone().render_usage().to_string().replace("Usage: ", "");
    let rows: String =
        arguments(command).map(|argument| row(&argument.to_string(), &help(argument))).collect();
    let table = if rows.is_empty() { rows } else { format!("\n| | |\n|---|---|\n{rows}") };
    format!("\n### {name}\n\n{about}.\n\n`{usage}`\n{table}")
}

fn row(code: &str, text: &str) -> String {
    format!("| `{}` | {text} |\n", code.replace('|', "\\|"))
}

fn commands(of: &Command) -> impl Iterator<Item = &Command> {
    of.get_subcommands().filter(|command| command.get_name() != "help")
}

fn arguments(command: &Command) -> impl Iterator<Item = &Arg> {
    command.get_arguments().filter(|argument| !argument.get_long().is_some_and(|long| COMMON.contains(&long)))
}

fn about(command: &Command) -> String {
    command.get_about().expect("every command says what it does").to_string()
}

/// A command of a group with all its own arguments: options it needs, what it is about, options it
/// may have.
fn signature(group: &str, command: &Command) -> String {
    let mut own: Vec<&Arg> = arguments(command).filter(|argument| !argument.is_global_set()).collect();
    let is_optional = |argument: &Arg| !argument.is_positional() && !argument.is_required_set();
    own.sort_by_key(|argument| (is_optional(argument), argument.is_positional()));
    let shown = |argument: &Arg| {
        if is_optional(argument) { format!(" [{argument}]") } else { format!(" {argument}") }
    };
    format!("{group} {}{}", command.get_name(), own.into_iter().map(shown).collect::<String>())
}

/// What it is for, the variable that sets it too, and what it is where nothing sets it.
fn help(argument: &Arg) -> String {
    let help = argument.get_help().expect("every argument says what it is");
    let variable = argument.get_env().map(|variable| format!(" (`{}`)", variable.display()));
    let default = match argument.get_default_values() {
        [value] if argument.get_action().takes_values() && !value.is_empty() => {
            format!(" (default `{}`)", value.display())
        }
        _ => String::new(),
    };
    format!("{help}{}{default}", variable.unwrap_or_default())
}
