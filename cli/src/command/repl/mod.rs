//! `floe repl`: a session of expressions, definitions and commands, from a terminal or a pipe.
//! Here: reading texts and printing answers. What a text asks for is in `line`, what is known so
//! far in `session`, what commands do in `answer`, and the keyboard in `editor`.

mod answer;
mod complete;
mod documentation;
mod editor;
mod line;
mod session;

use std::cell::RefCell;
use std::io::{BufRead, IsTerminal, Write};
use std::rc::Rc;

use anyhow::Result;

use crate::args::{Global, Repl};
use crate::fault;
use editor::{Editor, Typed};
use line::Line;
use session::Session;

/// Reads texts until the end, or `:q`.
pub fn repl(global: &Global, args: &Repl) -> Result<()> {
    let session = Rc::new(RefCell::new(Session::begin(global, args)?));
    let interactive = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    if interactive && !global.quiet {
        println!("floe {}, Nix language; :? for help, Ctrl-D to leave", env!("CARGO_PKG_VERSION"));
    }
    session.borrow_mut().load_all(interactive)?;
    if interactive { from_terminal(&session) } else { from_pipe(&session) }
}

/// Whether the session goes on.
fn answer(session: &RefCell<Session>, text: &str) -> Result<bool> {
    let answer = session.borrow_mut().answer(&Line::read(text));
    match answer {
        Ok(Some(answer)) => {
            let mut out = std::io::stdout().lock();
            out.write_all(answer.as_bytes())?;
            out.flush()?;
        }
        Ok(None) => return Ok(false),
        Err(error) => fault::tell(&error, session.borrow().style.form),
    }
    Ok(true)
}

fn from_terminal(session: &Rc<RefCell<Session>>) -> Result<()> {
    let mut editor = Editor::open(Rc::clone(session))?;
    loop {
        match editor.read()? {
            Typed::Text(text) => {
                if !answer(session, &text)? {
                    return Ok(());
                }
            }
            Typed::Nothing => {}
            Typed::End => return Ok(()),
        }
    }
}

/// A text ends where it is complete.
fn from_pipe(session: &RefCell<Session>) -> Result<()> {
    let mut text = String::new();
    for read in std::io::stdin().lock().lines() {
        let read = read?;
        text += &read;
        text.push('\n');
        if Line::read(&text).is_unfinished() {
            continue;
        }
        if !answer(session, &text)? {
            return Ok(());
        }
        text.clear();
    }
    if !text.is_empty() {
        answer(session, &text)?;
    }
    Ok(())
}
