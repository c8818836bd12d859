//! Operators, pipes and calls: precedence climbing. What operands look like is `operands`.

use super::ast::*;
use super::parser::*;
use super::token::TokenKind;

/// How an operator groups with its own kind.
#[derive(Clone, Copy, PartialEq)]
enum Group {
    Left,
    Right,
    Never,
}

const LEVEL_LOWEST: u8 = 1;
const LEVEL_ABOVE_NOT: u8 = 8;
const LEVEL_HAS_ATTR: u8 = 11;

/// The binding strength of an infix operator.
fn infix(kind: TokenKind) -> Option<(BinaryOp, u8, Group)> {
    Some(match kind {
        TokenKind::Implies => (BinaryOp::Implies, 1, Group::Right),
        TokenKind::Or => (BinaryOp::Or, 2, Group::Left),
        TokenKind::And => (BinaryOp::And, 3, Group::Left),
        TokenKind::Eq => (BinaryOp::Eq, 4, Group::Never),
        TokenKind::Ne => (BinaryOp::Ne, 4, Group::Never),
        TokenKind::Lt => (BinaryOp::Lt, 5, Group::Never),
        TokenKind::Le => (BinaryOp::Le, 5, Group::Never),
        TokenKind::Gt => (BinaryOp::Gt, 5, Group::Never),
        TokenKind::Ge => (BinaryOp::Ge, 5, Group::Never),
        TokenKind::Update => (BinaryOp::Update, 6, Group::Right),
        TokenKind::Plus => (BinaryOp::Add, 8, Group::Left),
        TokenKind::Minus => (BinaryOp::Sub, 8, Group::Left),
        TokenKind::Star => (BinaryOp::Mul, 9, Group::Left),
        TokenKind::Slash => (BinaryOp::Div, 9, Group::Left),
        TokenKind::Concat => (BinaryOp::Concat, 10, Group::Right),
        _ => return None,
    })
}

impl Parser<'_> {
    /// Operators, and the pipes around them. `operand` is the first operand where it has been read.
    pub(super) fn pipes(&mut self, operand: Option<ExprId>) -> Parsed<ExprId> {
        let mut left = self.operators(LEVEL_LOWEST, operand)?;
        match self.token.kind {
            TokenKind::PipeInto => {
                let mut levels = 0;
                while self.token.kind == TokenKind::PipeInto {
                    self.enter(1)?;
                    levels += 1;
                    let at = self.bump()?;
                    let func = self.operators(LEVEL_LOWEST, None)?;
                    left = self.call(at, func, &[left]);
                }
                self.leave(levels);
                Ok(left)
            }
            TokenKind::PipeFrom => {
                let at = self.bump()?;
                self.enter(1)?;
                let arg = self.operators(LEVEL_LOWEST, None)?;
                let arg =
                    if self.token.kind == TokenKind::PipeFrom { self.pipe_from(arg)? } else { arg };
                self.leave(1);
                Ok(self.call(at, left, &[arg]))
            }
            _ => Ok(left),
        }
    }

    /// `<| arg`, where `func` has been read.
    pub(super) fn pipe_from(&mut self, func: ExprId) -> Parsed<ExprId> {
        let at = self.bump()?;
        self.enter(1)?;
        let mut arg = self.operators(LEVEL_LOWEST, None)?;
        if self.token.kind == TokenKind::PipeFrom {
            arg = self.pipe_from(arg)?;
        }
        self.leave(1);
        Ok(self.call(at, func, &[arg]))
    }

    /// A call at `at`. A function that is a call itself takes the arguments to its own.
    pub(super) fn call(&mut self, at: Span, func: ExprId, args: &[ExprId]) -> ExprId {
        let last = *args.last().expect("a call has arguments");
        // With `|>` the arguments stand before the function.
        let end = self.ast.span(func).end.max(self.ast.span(last).end);
        if let Expr::Call { func: inner, args: first } = self.ast.expr(func) {
            let mut all = self.ast.exprs(first).to_vec();
            all.extend_from_slice(args);
            let args = self.ast.push_exprs(&all);
            self.ast.exprs[func.index()] = Expr::Call { func: inner, args };
            self.ast.spans[func.index()].end = end;
            return func;
        }
        let args = self.ast.push_exprs(args);
        let span = Span { start: at.start, end };
        self.ast.push(Expr::Call { func, args }, span)
    }

    /// Operands joined by operators of at least `level`.
    pub(super) fn operators(&mut self, level: u8, operand: Option<ExprId>) -> Parsed<ExprId> {
        let start = operand.map_or(self.token.span, |operand| self.start_of(operand)).start;
        let mut left = match operand {
            Some(operand) => self.application(operand)?,
            None => self.prefix()?,
        };
        let mut last = None;
        let mut levels = 0;
        loop {
            if self.token.kind == TokenKind::Question && LEVEL_HAS_ATTR >= level {
                self.enter(1)?;
                levels += 1;
                left = self.has_attr(left)?;
                last = None;
                continue;
            }
            let Some((op, strength, group)) =
                infix(self.token.kind).filter(|(_, strength, _)| *strength >= level)
            else {
                break;
            };
            if last == Some(strength) {
                return self.unexpected(&[]);
            }
            self.enter(1)?;
            levels += 1;
            let at = self.bump()?.start;
            let starts = [start, self.token.span.start];
            let right = self.operators(strength + (group != Group::Right) as u8, None)?;
            let span = self.span_to(self.ast.span(left), right);
            left = self.ast.push(Expr::Binary { op, at, left, right, starts }, span);
            last = (group == Group::Never).then_some(strength);
        }
        self.leave(levels);
        Ok(left)
    }

    pub(super) fn has_attr(&mut self, base: ExprId) -> Parsed<ExprId> {
        self.bump()?;
        let (path, end) = self.attr_path()?;
        let span = self.ast.span(base).to(end);
        Ok(self.ast.push(Expr::HasAttr { base, path }, span))
    }

    pub(super) fn prefix(&mut self) -> Parsed<ExprId> {
        let operand = match self.token.kind {
            TokenKind::Bang => {
                self.enter(1)?;
                let start = self.bump()?;
                let operand = self.operators(LEVEL_ABOVE_NOT, None)?;
                let span = self.span_to(start, operand);
                self.ast.push(Expr::Not(operand), span)
            }
            TokenKind::Minus => {
                self.enter(1)?;
                let start = self.bump()?;
                let operand = self.prefix()?;
                let span = self.span_to(start, operand);
                self.ast.push(Expr::Neg(operand), span)
            }
            _ => {
                let operand = self.simple()?;
                return self.application(operand);
            }
        };
        self.leave(1);
        Ok(operand)
    }
}
