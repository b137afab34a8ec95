package router

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/azml-go/azml"
)

// Route is a deployment's share of the traffic.
type Route[D any] struct {
	// Name is the deployment's name.
	Name string
	// To is what answers its requests.
	To D
	// Percent is its share of the requests that name no deployment.
	Percent int
	// Mirror is the share, in percent, of the requests to others of which it
	// gets a copy.
	Mirror int
}

// slots is the number of consecutive requests in which each deployment gets
// exactly its percentage.
const slots = 100

// steps are the numbers below slots that have no divisor in common with it, so
// that multiples of any of them meet all slots.
var steps = []uint64{
	1, 3, 7, 9, 11, 13, 17, 19, 21, 23, 27, 29, 31, 33, 37, 39, 41, 43, 47, 49,
	51, 53, 57, 59, 61, 63, 67, 69, 71, 73, 77, 79, 81, 83, 87, 89, 91, 93, 97, 99,
}

// Table says which deployment answers a request. It never changes, but for the
// counts of requests; another one takes its place. It is safe for concurrent use.
//
// Shares are exact: of each hundred requests a deployment gets its percentage.
// Their order within the hundred is drawn at random, so that requests of a kind
// that comes at regular intervals don't all meet the same deployment.
type Table[D any] struct {
	routes   []Route[D]
	byName   map[string]int
	traffic  [slots]uint8
	share    bool // some deployment has traffic
	seed     uint64
	turn     atomic.Uint64
	mirror   int // the route that gets copies, -1 for none
	mirrored atomic.Uint64
}

// NewTable makes a table of at most 255 routes. Percentages are 0 to 100; those
// of the traffic have the sum 100, or are all 0 when requests must name their deployment. One
// route at most gets copies. Errors: ErrInvalid.
func NewTable[D any](routes []Route[D]) (*Table[D], error) {
	t := &Table[D]{routes: slices.Clone(routes), byName: map[string]int{}, seed: rand.Uint64(), mirror: -1} //nolint:gosec // shares are no secret
	const most = 255
	if len(routes) > most {
		return nil, fmt.Errorf("%w: %d deployments, at most %d can be served at once", azml.ErrInvalid, len(routes), most)
	}
	if err := checkShares(routes); err != nil {
		return nil, err
	}
	filled := 0
	for i, r := range routes {
		if _, twice := t.byName[r.Name]; twice {
			return nil, fmt.Errorf("%w: deployment %q is there twice", azml.ErrInvalid, r.Name)
		}
		t.byName[r.Name] = i
		for range r.Percent {
			t.traffic[filled] = uint8(i)
			filled++
		}
		if r.Mirror > 0 && t.mirror >= 0 {
			return nil, fmt.Errorf("%w: %q and %q: only one deployment can get copies", azml.ErrInvalid, routes[t.mirror].Name, r.Name)
		}
		if r.Mirror > 0 {
			t.mirror = i
		}
	}
	t.share = filled > 0
	return t, nil
}

// CheckShare tells what is wrong with a deployment's share, in percent, of what. Errors:
// ErrInvalid.
func CheckShare(deployment string, percent int, what string) error {
	if percent < 0 || percent > slots {
		return fmt.Errorf("%w: %d %% of the %s for deployment %q: use 0 to 100", azml.ErrInvalid, percent, what, deployment)
	}
	return nil
}

// checkShares tells what is wrong with the percentages.
func checkShares[D any](routes []Route[D]) error {
	sum, shares := 0, []string{}
	for _, r := range routes {
		if err := cmp.Or(CheckShare(r.Name, r.Percent, "traffic"), CheckShare(r.Name, r.Mirror, "copies")); err != nil {
			return err
		}
		if sum += r.Percent; r.Percent > 0 {
			shares = append(shares, fmt.Sprintf("%s %d %%", r.Name, r.Percent))
		}
	}
	switch all := strings.Join(shares, ", "); {
	case sum > slots:
		return fmt.Errorf("%w: the traffic is %d %% together (%s), and must be 100: say which deployments get less", azml.ErrInvalid, sum, all)
	case sum > 0 && sum < slots:
		return fmt.Errorf("%w: the traffic is %d %% together (%s), and must be 100: say which deployment gets the other %d %%", azml.ErrInvalid, sum, all, slots-sum)
	}
	return nil
}

// Pick gives the deployment that answers the next request: the named one, or
// when name is empty one by its share. It is false for an unknown name, and
// without one when no deployment has traffic.
func (t *Table[D]) Pick(name string) (Route[D], bool) {
	if name != "" {
		i, ok := t.byName[name]
		if !ok {
			return Route[D]{}, false
		}
		return t.routes[i], true
	}
	if !t.share {
		return Route[D]{}, false
	}
	return t.routes[t.traffic[shuffled(t.turn.Add(1)-1, t.seed)]], true
}

// Mirrors tells whether some requests to a deployment are copied.
func (t *Table[D]) Mirrors(other string) bool {
	return t.mirror >= 0 && t.routes[t.mirror].Name != other
}

// Mirror gives the deployment that gets a copy of the next request, which other
// answers; false when none does.
func (t *Table[D]) Mirror(other string) (Route[D], bool) {
	if !t.Mirrors(other) {
		return Route[D]{}, false
	}
	at := shuffled(t.mirrored.Add(1)-1, t.seed)
	return t.routes[t.mirror], at < t.routes[t.mirror].Mirror
}

// Routes gives the routes in the order in which they were given. The slice is
// not to be changed.
func (t *Table[D]) Routes() []Route[D] { return t.routes }

// shuffled gives the place of the n-th request among the slots: within each
// hundred every place once, in an order that differs from hundred to hundred.
func shuffled(n, seed uint64) int {
	round := mix(n/slots + seed)
	return int((n%slots*steps[round%uint64(len(steps))] + round>>32) % slots)
}

// mix is the finalizer of SplitMix64: neighbours become unrelated numbers.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
