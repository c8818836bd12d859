//! The kinds of token, with the names that messages give them. No text is read here.

/// A kind of token. The order is that in which messages list alternatives.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum TokenKind {
    /// The end of the file.
    Eof,
    /// A byte that begins no token.
    Invalid,
    /// An identifier that is no keyword.
    Id,
    /// Literal text of a string, or of a path after its beginning.
    Str,
    /// Literal text of an indented string.
    IndStr,
    /// An integer.
    Int,
    /// A floating-point number.
    Float,
    /// A path, or the beginning of one.
    Path,
    /// A path that begins with `~/`.
    HomePath,
    /// `<...>`
    SearchPath,
    /// Where a path ends.
    PathEnd,
    /// An unquoted URI.
    Uri,
    /// `if`
    If,
    /// `then`
    Then,
    /// `else`
    Else,
    /// `assert`
    Assert,
    /// `with`
    With,
    /// `let`
    Let,
    /// `in`
    In,
    /// `rec`
    Rec,
    /// `inherit`
    Inherit,
    /// `==`
    Eq,
    /// `!=`
    Ne,
    /// `<=`
    Le,
    /// `>=`
    Ge,
    /// `//`
    Update,
    /// `++`
    Concat,
    /// `&&`
    And,
    /// `||`
    Or,
    /// `->`
    Implies,
    /// `or`
    OrKeyword,
    /// `<|`
    PipeFrom,
    /// `|>`
    PipeInto,
    /// `${`
    DollarCurly,
    /// `''` at the beginning.
    IndOpen,
    /// `''` at the end.
    IndClose,
    /// `...`
    Ellipsis,
    /// `<`
    Lt,
    /// `>`
    Gt,
    /// `+`
    Plus,
    /// `-`
    Minus,
    /// `*`
    Star,
    /// `/`
    Slash,
    /// `?`
    Question,
    /// `:`
    Colon,
    /// `@`
    At,
    /// `;`
    Semicolon,
    /// `!`
    Bang,
    /// `.`
    Dot,
    /// `"`
    Quote,
    /// `(`
    ParenOpen,
    /// `)`
    ParenClose,
    /// `{`
    CurlyOpen,
    /// `}`
    CurlyClose,
    /// `[`
    BracketOpen,
    /// `]`
    BracketClose,
    /// `=`
    Assign,
    /// `,`
    Comma,
}

impl TokenKind {
    /// The name in messages, with the quotes that belong to it.
    pub fn name(self) -> &'static str {
        match self {
            TokenKind::Eof => "end of file",
            TokenKind::Invalid => "invalid token",
            TokenKind::Id => "identifier",
            TokenKind::Str => "string",
            TokenKind::IndStr => "indented string",
            TokenKind::Int => "integer",
            TokenKind::Float => "floating-point literal",
            TokenKind::Path => "path",
            TokenKind::HomePath => "'~/…' path",
            TokenKind::SearchPath => "'<…>' path",
            TokenKind::PathEnd => "end of path",
            TokenKind::Uri => "URI",
            TokenKind::If => "'if'",
            TokenKind::Then => "'then'",
            TokenKind::Else => "'else'",
            TokenKind::Assert => "'assert'",
            TokenKind::With => "'with'",
            TokenKind::Let => "'let'",
            TokenKind::In => "'in'",
            TokenKind::Rec => "'rec'",
            TokenKind::Inherit => "'inherit'",
            TokenKind::Eq => "'=='",
            TokenKind::Ne => "'!='",
            TokenKind::Le => "'<='",
            TokenKind::Ge => "'>='",
            TokenKind::Update => "'//'",
            TokenKind::Concat => "'++'",
            TokenKind::And => "'&&'",
            TokenKind::Or => "'||'",
            TokenKind::Implies => "'->'",
            TokenKind::OrKeyword => "'or'",
            TokenKind::PipeFrom => "'<|'",
            TokenKind::PipeInto => "'|>'",
            TokenKind::DollarCurly => "'${'",
            TokenKind::IndOpen => "start of an indented string",
            TokenKind::IndClose => "end of an indented string",
            TokenKind::Ellipsis => "'...'",
            TokenKind::Lt => "'<'",
            TokenKind::Gt => "'>'",
            TokenKind::Plus => "'+'",
            TokenKind::Minus => "'-'",
            TokenKind::Star => "'*'",
            TokenKind::Slash => "'/'",
            TokenKind::Question => "'?'",
            TokenKind::Colon => "':'",
            TokenKind::At => "'@'",
            TokenKind::Semicolon => "';'",
            TokenKind::Bang => "'!'",
            TokenKind::Dot => "'.'",
            TokenKind::Quote => "'\"'",
            TokenKind::ParenOpen => "'('",
            TokenKind::ParenClose => "')'",
            TokenKind::CurlyOpen => "'{'",
            TokenKind::CurlyClose => "'}'",
            TokenKind::BracketOpen => "'['",
            TokenKind::BracketClose => "']'",
            TokenKind::Assign => "'='",
            TokenKind::Comma => "','",
        }
    }
}
