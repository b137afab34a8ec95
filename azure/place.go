package azure

import (
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/azureblob"
)

// place is what a URL says.
type place struct {
	text      string // the URL, as it is stored
	service   string // the endpoint of the account
	account   string
	container string
	prefix    string
	vault     string // the URL of the key vault, empty for none
}

// IsURL tells the URL of a workspace from the path of a folder.
func IsURL(location string) bool { return strings.Contains(location, "://") }

// publicCloud is where accounts are that are named without a host.
const publicCloud = ".blob.core.windows.net"

// parse reads the URL of a workspace.
func parse(text string) (place, error) {
	u, err := url.Parse(text)
	if err != nil {
		return place{}, invalid("it can't be read")
	}
	switch {
	case u.User != nil:
		return place{}, invalid("it has a user or a password: " + howToSignIn)
	case u.Query().Has("sig"):
		return place{}, invalid("it has a signature: " + howToSignIn)
	}
	vault, err := vaultOf(u)
	if err != nil {
		return place{}, err
	}
	p := place{text: strings.TrimSuffix(text, "/"), vault: vault}
	path := strings.Trim(u.Path, "/")
	switch host := u.Hostname(); {
	case u.Scheme == "azblob" && u.Port() == "" && host != "":
		p.account, _, _ = strings.Cut(host, ".")
		if p.service = "https://" + host; p.account == host {
			p.service += publicCloud
		}
	case u.Scheme == "https" && host != "" && !local(host):
		p.account, _, _ = strings.Cut(host, ".")
		p.service = "https://" + u.Host
	case u.Scheme == "https" && local(host), u.Scheme == "http" && loopback(host):
		p.account, path, _ = strings.Cut(path, "/")
		p.service = u.Scheme + "://" + u.Host + "/" + p.account
	case u.Scheme == "http":
		return place{}, invalid("what is sent by http to another machine can be read by anybody on the way: use https")
	default:
		return place{}, invalid("it begins with " + u.Scheme + "://")
	}
	p.container, p.prefix, _ = strings.Cut(path, "/")
	if p.account == "" || p.container == "" {
		return place{}, invalid("it names no account or no container")
	}
	if strings.HasPrefix(p.container, "$") {
		return place{}, invalid("the containers of the service itself, such as $web, hold no workspace: name another one")
	}
	if err := azureblob.CheckContainer(p.container); err != nil {
		return place{}, fmt.Errorf("the URL of a workspace: %w", err)
	}
	if p.prefix != "" {
		if err := backend.ValidKey(p.prefix); err != nil {
			return place{}, fmt.Errorf("the URL of a workspace: prefix: %w", err)
		}
	}
	return p, nil
}

// vaultOf gives the URL of the key vault that the query names.
func vaultOf(u *url.URL) (string, error) {
	query, err := url.ParseQuery(u.RawQuery)
	names := query["vault"]
	switch {
	case err != nil || u.Fragment != "" || len(query) > 1 || len(query) == 1 && len(names) != 1:
		return "", invalid("behind the path it may have ?vault=NAME alone")
	case len(names) == 0:
		return "", nil
	}
	return VaultURL(names[0])
}

// vaultName is what Azure takes.
var vaultName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]{2,23}$`) })

// local tells whether a host is a machine's address, as that of Azurite is: then
// the account is in the path.
func local(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil || host == "localhost"
}

// blobDomains are those of Azure's own storage accounts, in all its clouds.
var blobDomains = []string{publicCloud, ".blob.storage.azure.net", ".blob.core.chinacloudapi.cn", ".blob.core.usgovcloudapi.net"}

// host gives the host of the endpoint, with its port.
func (p place) host() string {
	u, err := url.Parse(p.service)
	if err != nil { // parse has made it
		return ""
	}
	return strings.ToLower(u.Host)
}

// known tells whether what is sent there goes to Azure or stays on this machine.
func (p place) known() bool {
	return onLoopback(p.host()) || slices.ContainsFunc(blobDomains, func(domain string) bool { return strings.HasSuffix(p.host(), domain) })
}

// onLoopback is loopback for a host that may have a port.
func onLoopback(host string) bool {
	u := url.URL{Host: host}
	return loopback(u.Hostname())
}

// loopback tells whether a host is this machine, so that nothing leaves it.
func loopback(host string) bool {
	address, err := netip.ParseAddr(host)
	return err == nil && address.IsLoopback() || host == "localhost"
}

// invalid makes the error of a URL; it shows none of it, for it may hold what
// nobody is to see.
func invalid(why string) error {
	return fmt.Errorf("%w: not the URL of a workspace in Azure, such as azblob://ACCOUNT/CONTAINER/PREFIX: %s", azml.ErrInvalid, why)
}
