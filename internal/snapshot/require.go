package snapshot

import (
	"fmt"
	"path"
	"strings"

	"github.com/azml-go/azml"
)

// require checks that every path is taken, or says why it is not. Take holds
// to the same list.
func (p *Plan) require(paths []string) error {
	for _, want := range paths {
		name := path.Clean(strings.TrimPrefix(want, "./"))
		if name == "." || !p.reaches(name) {
			return p.whyNot(name)
		}
		p.required = append(p.required, name)
	}
	return nil
}

// whyNot explains why name is not part of the plan.
func (p *Plan) whyNot(name string) error {
	for _, i := range p.Ignored {
		if i.Path == name {
			return fmt.Errorf("%w: %q in %q would not be taken, it is ignored by %s", azml.ErrInvalid, name, p.Dir, i.Reason)
		}
		if i.IsDir && strings.HasPrefix(name, i.Path+"/") {
			return fmt.Errorf("%w: %q in %q would not be taken, its folder %q is ignored by %s", azml.ErrInvalid, name, p.Dir, i.Path, i.Reason)
		}
	}
	for _, s := range p.Skipped {
		if s.Path == name || strings.HasPrefix(name, s.Path+"/") {
			return fmt.Errorf("%w: %q in %q can't be taken, %q: %s", azml.ErrInvalid, name, p.Dir, s.Path, s.Reason)
		}
	}
	return fmt.Errorf("%w: there is no %q in the source folder %q", azml.ErrNotFound, name, p.Dir)
}
