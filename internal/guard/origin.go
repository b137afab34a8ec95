package guard

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/mlflow"
)

// Callers are the names under which a server may be called, beside localhost and IP
// addresses, and the origins of other sites whose pages may call it. The zero
// Callers are none.
type Callers struct{ hosts, origins map[string]bool }

// NewCallers checks the names and origins. Errors: ErrInvalid.
func NewCallers(hosts, origins []string) (c Callers, err error) {
	if c.hosts, err = hostSet(hosts); err != nil {
		return c, err
	}
	c.origins, err = originSet(origins)
	return c, err
}

// TurnAway answers requests that a browser was led into: by a name that a stranger
// has made point here (DNS rebinding), or by a page of another site. It also answers
// a browser's question whether a page may call (a preflight).
func (c Callers) TurnAway(w http.ResponseWriter, r *http.Request) bool {
	if !c.hostAllowed(r.Host) {
		mlflow.Refuse(w, http.StatusForbidden, codeDenied,
			fmt.Sprintf("The server does not answer under the name %q: use an address or localhost; azml server allows others with --allow-host", hostname(r.Host)))
		return true
	}
	origin := r.Header.Get("Origin")
	if len(c.origins) > 0 {
		w.Header().Add("Vary", "Origin")
	}
	switch {
	case origin == "" || SameHost(origin, r.Host):
		return false
	case !c.origins[strings.ToLower(origin)]:
		mlflow.Refuse(w, http.StatusForbidden, codeDenied, fmt.Sprintf("Pages of %q may not call the server: azml server allows it with --cors-origin", origin))
		return true
	}
	return cors(w, r, origin)
}

const codeDenied = "PERMISSION_DENIED"

// cors tells the browser that pages of the origin may call.
func cors(w http.ResponseWriter, r *http.Request, origin string) (preflight bool) {
	header := w.Header()
	header.Set("Access-Control-Allow-Origin", origin)
	header.Set("Access-Control-Expose-Headers", "Content-Disposition, ETag")
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
		return false
	}
	header.Set("Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, PATCH, DELETE")
	if asked := r.Header.Get("Access-Control-Request-Headers"); asked != "" {
		header.Set("Access-Control-Allow-Headers", asked)
	}
	header.Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
	return true
}

// hostAllowed tells whether the server may be called so. An IP address is always
// right: no name was looked up, so none can have been bent.
func (c Callers) hostAllowed(host string) bool {
	name := hostname(host)
	if name == "localhost" || c.hosts[name] {
		return true
	}
	_, err := netip.ParseAddr(name)
	return err == nil
}

// hostname gives the name or address in a Host header, in small letters.
func hostname(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	} else if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
		host = host[1 : len(host)-1]
	}
	return strings.TrimSuffix(strings.ToLower(host), ".")
}

// SameHost tells whether the page comes from this server.
func SameHost(origin, host string) bool {
	u, err := url.Parse(origin)
	return err == nil && u.Host != "" && strings.EqualFold(u.Host, host)
}

func hostSet(hosts []string) (map[string]bool, error) {
	set := map[string]bool{}
	for _, host := range hosts {
		name := hostname(host)
		if name == "" || name != strings.TrimSuffix(strings.ToLower(host), ".") || strings.ContainsAny(name, "/:*@? ") {
			return nil, fmt.Errorf("%w: host %q: use a name without a port, such as ml.example.com", azml.ErrInvalid, host)
		}
		set[name] = true
	}
	return set, nil
}

func originSet(origins []string) (map[string]bool, error) {
	set := map[string]bool{}
	for _, origin := range origins {
		if err := CheckOrigin(origin); err != nil {
			return nil, err
		}
		set[strings.ToLower(origin)] = true
	}
	return set, nil
}

// ownPorts are the ports that browsers leave out.
var ownPorts = map[string]string{"http": "80", "https": "443"}

// CheckOrigin tells what is wrong with the origin of a site, which is without a path, and
// without the port that its scheme has anyway, as browsers send it. Errors: ErrInvalid.
func CheckOrigin(origin string) error {
	u, err := url.Parse(origin)
	if err == nil && u.Host != "" && strings.EqualFold(u.Scheme+"://"+u.Host, origin) && !strings.ContainsAny(u.Host, "* ") &&
		!strings.HasSuffix(u.Host, ":") && (u.Port() == "" || u.Port() != ownPorts[u.Scheme]) {
		return nil
	}
	return fmt.Errorf("%w: origin %q: use a scheme, a host and a port that is not the scheme's own, such as https://ml.example.com:8080", azml.ErrInvalid, origin)
}
