package postgres

import "testing"

// TestWordsOfASourceAreThoseOutsideOfCommentsAndLiterals: in doubt, all of its words.
func TestWordsOfASourceAreThoseOutsideOfCommentsAndLiterals(t *testing.T) {
	r := newRig(t)
	for source, want := range map[string]bool{
		`if tg_op = 'UPDATE' then raise 'don''t update'; end if`: false,
		"-- we update it\nnew.v := 1":                            false,
		"-- we don't\rupdate t; -- it's done":                    true,
		"-- we don't\nupdate t; -- it's done":                    true,
		`/* don't */ update t; /* it's done */`:                  true,
		`/** update * t **/ new.v := 1`:                          false,
		`/**/ update t /**/`:                                     true,
		`new.v := '/*'; update t; -- */`:                         true,
		`new.v := '--'; update t; new.v := ''`:                   true,
		`/* a /* it's */ b */ update t; raise 'c'`:               true,
		`/* a /* b */ it's */ update t; raise 'c'`:               true,
		`new."it's" := 1; update t set "it's" = 2`:               true,
		`new.v := '"'; update t; new.v := '"'`:                   true,
		`new.v := e'O\'Brien'; update t; raise 'c'`:              true,
		`new.v := e'\\'; update t; raise 'c'`:                    true,
		`new.v := $$it's$$; update t; raise 'c'`:                 true,
		`new.v := $a$it's$a$; update t; raise 'c'`:               true,
		`new.v := '$1'; -- update`:                               false,
	} {
		for _, conforming := range []string{"on", "off"} {
			r.exec("set standard_conforming_strings = " + conforming)
			var got bool
			if err := r.db.QueryRow(t.Context(), `select `+wordsSQL("$1::text")+` ~ '[[:<:]]update[[:>:]]'`, source).Scan(&got); err != nil || got != want {
				t.Errorf("%q: %v, %v", source, got, err)
			}
		}
	}
}
