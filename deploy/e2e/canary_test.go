package e2e_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"datawatch/pkg/event"
	"datawatch/pkg/testrig"
)

// assertCanary waits until canaries went through everything: validator and collector say how old the last one is, and no
// metric counts them.
func (w *world) assertCanary() {
	w.t.Helper()
	for _, service := range []string{"validator", "collector"} {
		testrig.Eventually(w.t, 30*time.Second, func() error {
			parts, err := w.dependencies(service)
			if err != nil {
				return err
			}
			if c := parts["canary"]; c.Status != "ready" || !strings.HasSuffix(c.Reason, " s old") {
				return fmt.Errorf("%s: canary %+v", service, c)
			}
			return nil
		})
	}
	for _, service := range []string{"collector", "preprocessor", "validator"} {
		text, err := w.get(service, "/metrics")
		if err != nil {
			w.t.Fatal(err)
		}
		if strings.Contains(text, event.CanaryStream.Source()) {
			w.t.Errorf("the %s's metrics count canaries", service)
		}
		if service == "validator" && !strings.Contains(text, "\ndatawatch_validator_canary_age_seconds ") {
			w.t.Error("no metric of the canary's age")
		}
	}
}

// dependency is one in /readyz.
type dependency struct{ Status, Reason string }

// dependencies are what /readyz says, by name.
func (w *world) dependencies(service string) (map[string]dependency, error) {
	text, err := w.get(service, "/readyz")
	if err != nil {
		return nil, err
	}
	var ready struct{ Dependencies map[string]dependency }
	err = json.Unmarshal([]byte(text), &ready)
	return ready.Dependencies, err
}

// get asks a service's HTTP address.
func (w *world) get(service, path string) (string, error) {
	request, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, "http://"+w.Listen[service]+path, nil)
	if err != nil {
		return "", err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(answer.Body)
	return string(text), errors.Join(err, answer.Body.Close())
}
