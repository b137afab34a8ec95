// Package router decides which replica of which deployment answers a request,
// and how many replicas there are. It knows neither HTTP nor workspaces.
//
// A [Table] picks a deployment, by name or by its share of the traffic. A
// [Pool] hands a deployment's requests to the least busy of its replicas, with a
// bounded queue. A [Fleet] starts and ends the replicas of a pool, as many as
// its [Scale] asks for.
package router
