package postgres

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"

	"github.com/azml-go/azml"
)

// verifyChain verifies that an authority vouches for the server, whatever its
// name.
func verifyChain(state tls.ConnectionState) error {
	if len(state.PeerCertificates) == 0 {
		return fmt.Errorf("%w: the server shows no certificate", azml.ErrDenied)
	}
	between := x509.NewCertPool()
	for _, c := range state.PeerCertificates[1:] {
		between.AddCert(c)
	}
	_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{Intermediates: between})
	return err
}
