package e2e

import (
	"path/filepath"
	"time"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/faulty"
	"github.com/azml-go/azml/backend/filesecrets"
	"github.com/azml-go/azml/backend/localfs"
	"github.com/azml-go/azml/backend/retrying"
	"github.com/azml-go/azml/workspace"
)

// troubles is what goes wrong in tests with faults: of each hundred calls some
// fail, some are done without saying so, some break in their middle.
func troubles(seed uint64) faulty.Plan {
	return faulty.Plan{Seed: seed, Errors: 0.05, Lost: 0.05, Torn: 0.05, Delays: 0.05, MaxDelay: 3 * time.Millisecond}
}

// patient tries often enough that no call fails in the end.
var patient = retrying.Options{Attempts: 30, Base: time.Millisecond, Max: 5 * time.Millisecond}

// stores gives the plain stores of the place, which is a folder. The process
// that opened them ends soon: nobody closes them.
func (p place) stores() (backend.Objects, backend.Secrets, error) {
	objects, err := localfs.New(p.Dir, nil)
	if err != nil {
		return nil, nil, err
	}
	secrets, err := filesecrets.New(filepath.Join(p.Dir, ".secrets"), &filesecrets.Options{KeyFile: p.Key})
	return objects, secrets, err
}

// failing gives the place's stores with troubles, and with patience.
func (p place) failing(seed uint64) (workspace.Config, error) {
	objects, secrets, err := p.stores()
	if err != nil {
		return workspace.Config{}, err
	}
	return failing(objects, secrets, p.Cache, seed), nil
}

func failing(objects backend.Objects, secrets backend.Secrets, cache string, seed uint64) workspace.Config {
	troubled := faulty.New(objects, troubles(seed))
	return workspace.Config{Name: "story", CacheDir: cache, Objects: retrying.New(troubled, &patient),
		Secrets: retrying.NewSecrets(troubled.Secrets(secrets), &patient)}
}
