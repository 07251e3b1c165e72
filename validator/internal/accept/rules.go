package accept

import (
	"context"
	"time"

	"datawatch/pkg/cel"
	"datawatch/validator/internal/schemas"
)

// variable is one of those that rules may name.
type variable uint8

const (
	selfVariable variable = iota
	oldVariable
	rootVariable
	opVariable
	streamVariable
	timeVariable
	keyVariable
	actorVariable
	tagVariable
	variableCount
)

var variables = map[string]variable{
	"self": selfVariable, "old": oldVariable, "root": rootVariable, "op": opVariable, "stream": streamVariable,
	"time": timeVariable, "key": keyVariable, "actor": actorVariable, "tag": tagVariable,
}

// rule is a rule of a place of the schema.
type rule struct {
	*schemas.Rule
	variables []variable // of the program, in its order
}

// newRule is not ok for a rule with a variable that isn't known here.
func newRule(r *schemas.Rule) (made rule, ok bool) {
	made.Rule = r
	for _, name := range r.Program.Variables() {
		v, known := variables[name]
		if !known {
			return made, false
		}
		made.variables = append(made.variables, v)
	}
	return made, true
}

// asking is the asking of an event's rules.
type asking struct {
	values
	ctx    context.Context
	event  *Event
	form   *form                    // of the record; nil: it isn't known
	shared [variableCount]cel.Value // what is the same at every place, once it was needed
	bound  []cel.Value
}

// begin prepares for an event, whose form may be known.
func (a *asking) begin(ctx context.Context, t *tape, e *Event, f *form) {
	a.tape, a.containers = t, a.containers[:0]
	a.ctx, a.event, a.form = ctx, e, f
	clear(a.shared[:])
}

// pass tells whether all rules of a place certainly hold of the value at a token.
func (a *asking) pass(rules []rule, i int32) bool {
	var self, old cel.Value
	for j := range rules {
		r := &rules[j]
		if !r.RunsOn(a.event.Op) {
			continue
		}
		if r.NamesOld {
			if a.event.before < 0 {
				continue
			}
			if i != a.event.after { // what was at a place within the row before isn't looked up here
				return false
			}
			if old.Kind() == 0 {
				old = a.at(a.event.before)
			}
		}
		if a.form != nil && a.form.formulaOf(a.tape, r, i).holds(a.tape) {
			continue
		}
		if self.Kind() == 0 {
			self = a.at(i)
		}
		if !a.holds(r, self, old) {
			return false
		}
	}
	return true
}

func (a *asking) holds(r *rule, self, old cel.Value) bool {
	a.bound = a.bound[:0]
	for _, v := range r.variables {
		switch v {
		case selfVariable:
			a.bound = append(a.bound, self)
		case oldVariable:
			a.bound = append(a.bound, old)
		default:
			value, ok := a.common(v)
			if !ok {
				return false
			}
			a.bound = append(a.bound, value)
		}
	}
	holds, err := r.Program.EvalInOrder(a.ctx, a.bound)
	return err == nil && holds
}

// common is the value of a variable that is the same at every place.
func (a *asking) common(v variable) (cel.Value, bool) {
	if a.shared[v].Kind() != 0 {
		return a.shared[v], true
	}
	value := cel.NullValue
	switch v {
	case rootVariable:
		value = a.at(a.event.after)
	case opVariable:
		value = cel.StringValue(string(a.event.Op))
	case streamVariable:
		value = cel.StringValue(a.event.Source + "/" + a.event.Subject)
	case timeVariable:
		at, err := time.Parse(time.RFC3339Nano, a.event.Time)
		if err != nil {
			return cel.Value{}, false
		}
		value = cel.TimeValue(at)
	case keyVariable:
		if a.event.key >= 0 {
			key, err := cel.ParseJSON([]byte(a.span(a.event.key)))
			if err != nil {
				return cel.Value{}, false
			}
			value = key
		}
	case actorVariable:
		value = a.event.actor.value()
	case tagVariable:
		if a.event.tag != "" {
			value = cel.StringValue(a.event.tag)
		}
	}
	a.shared[v] = value
	return value, true
}
