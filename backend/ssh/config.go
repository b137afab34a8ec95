package ssh

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"os/user"
	"strconv"
	"strings"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// DefaultPort is the port of SSH.
const DefaultPort = 22

// Config says where the machine is and how to get in.
type Config struct {
	// Address is the machine's name or IP address. It is required.
	Address string
	// Port is the server's port, DefaultPort when zero.
	Port int
	// User is who logs in, the user of this program when empty.
	User string
	// Credential gives what the user proves himself by. It is called for each new
	// connection, so that what it gives may change. It is required.
	Credential func(ctx context.Context) (Credential, error)
	// HostKey says how the machine proves itself.
	HostKey HostKey
	// Dir is the folder on the machine for programs and jobs, by default ".azml".
	// One that is not absolute is below the user's home folder. It may be shared
	// by any number of targets and programs.
	Dir string
	// Program gives the path of an azml program on this machine that runs on such
	// a platform, which is installed there. It is required.
	Program func(ctx context.Context, platform backend.Platform) (path string, err error)
	// Containers, when not nil, has jobs run in containers of an engine on the machine,
	// a target of a kind that the program there knows, such as Docker's. Its folder is
	// below Dir.
	Containers *backend.ComputeSource
	// Patience is for how long calls go on trying when a connection was lost; by
	// default five minutes. Calls on a machine that has not been reached for so
	// long, or never, try once.
	Patience time.Duration
	// KeepAlive is how often the machine is asked whether it is there; when it
	// has not answered for as long again, the connection is lost. By default 15
	// seconds.
	KeepAlive time.Duration
}

// check gives a copy with the defaults.
func (c Config) check() (Config, error) {
	if c.Address == "" || strings.ContainsAny(c.Address, " /\n") {
		return c, fmt.Errorf("%w: address %q: want the name or IP address of a machine", azml.ErrInvalid, c.Address)
	}
	if c.Credential == nil || c.Program == nil {
		return c, fmt.Errorf("%w: ssh needs a credential and a program to install", azml.ErrInvalid)
	}
	c.Port = cmp.Or(c.Port, DefaultPort)
	if c.Port < 1 || c.Port > 65535 {
		return c, fmt.Errorf("%w: port %d", azml.ErrInvalid, c.Port)
	}
	if c.Dir == "" {
		c.Dir = ".azml"
	}
	c.Dir = strings.TrimPrefix(c.Dir, "~/")
	// It goes through shells of all kinds.
	if strings.ContainsFunc(c.Dir, func(r rune) bool { return r < ' ' || strings.ContainsRune(`'"\!~$`+"`\x7f", r) }) || strings.HasPrefix(c.Dir, "-") {
		return c, fmt.Errorf("%w: folder %q: want one without quotes, \"\\\", \"!\", \"~\", \"$\" and control characters", azml.ErrInvalid, c.Dir)
	}
	if c.User == "" {
		me, err := user.Current()
		if err != nil {
			return c, fmt.Errorf("%w: who logs in: %w", azml.ErrInvalid, err)
		}
		c.User = me.Username
	}
	if c.Patience == 0 {
		c.Patience = 5 * time.Minute
	}
	if c.KeepAlive == 0 {
		c.KeepAlive = 15 * time.Second
	}
	return c, c.HostKey.check()
}

// hostPort is where the server listens.
func (c Config) hostPort() string { return net.JoinHostPort(c.Address, strconv.Itoa(c.Port)) }

// target names the machine in errors.
func (c Config) target() string { return c.User + "@" + c.hostPort() }
