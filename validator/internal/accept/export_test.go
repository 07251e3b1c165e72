package accept

// ByForm tells whether the record that was read last had a form that was known, and by a plan whether it was checked by one.
func (r *Reader) ByForm(p *Program) (read, planned bool) {
	one := r.forms.last
	return one != nil, one != nil && one.program == p && one.plan != nil
}
