//go:build !linux

package azureblob

import "net"

// gather does nothing here.
func gather(conn *watched) net.Conn { return conn }
