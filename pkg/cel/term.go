package cel

// Term is a part of an expression that is arithmetic over numbers, for callers that can reach these numbers without Values. They
// must do as the program does, in numbers that are exact; whatever is out of the ordinary is for Eval.
type Term struct {
	Op   TermOp
	X, Y *Term

	Name     string // TermVariable, TermField
	Local    int    // TermLocal, TermEach: the number of the macro's variable
	Constant Value  // TermConstant
	Steps    int    // TermEach: what an element costs
}

// TermOp is what a Term does.
type TermOp uint8

// What terms do.
const (
	TermConstant TermOp = iota + 1
	TermVariable
	TermLocal
	TermField // of X
	TermAdd
	TermSubtract
	TermMultiply
	TermEach // Y for the elements of X
	TermSum  // of X, which is a TermEach
	TermEqual
	TermUnequal
	TermLess
	TermAtMost
	TermMore
	TermAtLeast
)

var termOps = map[string]TermOp{
	"+": TermAdd, "-": TermSubtract, "*": TermMultiply,
	"==": TermEqual, "!=": TermUnequal, "<": TermLess, "<=": TermAtMost, ">": TermMore, ">=": TermAtLeast,
}

// Term is the whole expression where it is a comparison of such terms, else nil, and the steps that it may take.
func (p *Program) Term() (t *Term, limit uint64) {
	if t = p.root.term; t == nil || t.Op < TermEqual {
		return nil, 0
	}
	return t, p.limit
}

// termOf is a term of two.
func termOf(op string, x, y *node) *Term {
	if termOps[op] == 0 || x.term == nil || y.term == nil {
		return nil
	}
	return &Term{Op: termOps[op], X: x.term, Y: y.term}
}

// fieldTerm is a field of what a term leads to.
func fieldTerm(x *node, name string) *Term {
	if x.term == nil || x.term.Op != TermVariable && x.term.Op != TermLocal && x.term.Op != TermField {
		return nil
	}
	return &Term{Op: TermField, X: x.term, Name: name}
}

// Small is a number's value, coefficient × 10^exponent; false for another kind, and for one that is too large for it.
func (v Value) Small() (coefficient int64, exponent int32, ok bool) {
	d := v.number()
	return d.coef, d.exp, v.kind == Number && d.big == nil
}
