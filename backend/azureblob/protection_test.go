package azureblob_test

import (
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/sas"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/service"
	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend/azureblob"
	"github.com/azml-go/azml/internal/testenv"
)

// TestProtection changes the account's settings, so it has a server of its own.
func TestProtection(t *testing.T) {
	t.Parallel()
	server := testenv.Azurite(t, testenv.AzuriteOptions{})
	name := newContainer(t, server.ConnectionString(), nil)
	key, err := azureblob.SharedKey(server.Account, server.Key)
	require.NoError(t, err)
	open := func(credential azureblob.Credential) *azureblob.Store {
		s, err := azureblob.Open(server.URL+"/"+name, credential, nil)
		require.NoError(t, err)
		t.Cleanup(requireNoError(t, s.Close))
		return s
	}
	s := open(key)
	account, err := service.NewClientFromConnectionString(server.ConnectionString(), nil)
	require.NoError(t, err)
	for _, tc := range []struct {
		enabled bool
		want    time.Duration
	}{{true, 9 * 24 * time.Hour}, {false, 0}} {
		policy := &service.RetentionPolicy{Enabled: new(tc.enabled)}
		if tc.enabled {
			policy.Days = new(int32(9))
		}
		_, err = account.SetProperties(t.Context(), &service.SetPropertiesOptions{DeleteRetentionPolicy: policy})
		require.NoError(t, err)
		p, err := s.Protection(t.Context())
		require.NoError(t, err)
		require.Equal(t, tc.want, p.SoftDelete)
		require.False(t, p.Versions, "Azurite keeps none")
	}

	t.Log("a signature on the container may not ask")
	signature := signed(t, server, name, sas.ContainerPermissions{Read: true, List: true, Write: true}, time.Now().Add(time.Hour))
	_, err = open(azureblob.SAS(signature)).Protection(t.Context())
	require.ErrorIs(t, err, azml.ErrDenied)

	t.Log("a client is of the container alone")
	client, err := container.NewClientFromConnectionString(server.ConnectionString(), name, nil)
	require.NoError(t, err)
	bare, err := azureblob.New(client, nil)
	require.NoError(t, err)
	_, err = bare.Protection(t.Context())
	require.ErrorIs(t, err, azml.ErrUnsupported)
}
