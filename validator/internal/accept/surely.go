package accept

// surely are the types of which every value is valid, as far as that is simple to tell.
func (n *node) surely() kinds {
	if n.rules != nil || n.values != nil || n.never {
		return 0
	}
	sure := n.types &^ n.unknown
	if n.integers || n.numbers != nil {
		sure &^= number.bit()
	}
	if n.texts != nil {
		sure &^= text.bit()
	}
	if n.format != nil {
		if sure &^= text.bit(); n.format.own {
			sure = 0
		}
	}
	if n.lists != nil {
		sure &^= list.bit()
	}
	if n.objects != nil {
		sure &^= object.bit()
	}
	if p := n.inPlace; p != nil {
		sure &= p.surely()
	}
	return sure
}

func (p *inPlace) surely() kinds {
	if p.one != nil || p.not != nil || p.condition != nil {
		return 0
	}
	sure := kinds(everyKind)
	for _, n := range p.all {
		sure &= n.sure // none yet of a schema that refers to itself
	}
	if p.any != nil {
		one := kinds(0)
		for _, n := range p.any {
			if n.reaches { // the rules of each that holds are asked
				return 0
			}
			one |= n.sure
		}
		sure &= one
	}
	return sure
}

func (n *node) isTrivial() bool {
	return n.unknown == 0 && n.types == everyKind && !n.integers && n.values == nil && n.format == nil && n.numbers == nil &&
		n.texts == nil && n.lists == nil && n.objects == nil && n.inPlace == nil && n.rules == nil
}
