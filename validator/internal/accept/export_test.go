package accept

// ByForm tells whether the record that was read last had a form that was known, and by a plan whether it was checked by one.
func (r *Reader) ByForm(p *Program) (read, planned bool) {
	one := r.forms.last
	return one != nil, one != nil && one.program == p && one.plan != nil
}

// Formulas are how many rules were asked by a formula of the form of the record that was read last.
func (r *Reader) Formulas() (n int) {
	if f := r.forms.last; f != nil {
		for i := range f.bound {
			if f.bound[i].formula != nil {
				n++
			}
		}
	}
	return n
}
