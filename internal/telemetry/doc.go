// Package telemetry makes OpenTelemetry spans and metrics of the library's
// operations. Without providers it makes none and costs next to nothing. The
// names are listed in docs/telemetry.md.
package telemetry
