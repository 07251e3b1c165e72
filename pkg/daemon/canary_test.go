package daemon

import (
	"encoding/json"
	"net/http/httptest"
	"testing"
	"time"

	"datawatch/pkg/reason"
)

// TestReadinessIsTheAgeOfTheCanary as it is when it is asked: one that stays away is noticed though nobody tells.
func TestReadinessIsTheAgeOfTheCanary(t *testing.T) {
	now := time.Date(2026, 11, 22, 14, 0, 0, 0, time.UTC)
	h := NewHealth()
	h.now = func() time.Time { return now }
	h.Set("broker", Ready, reason.Text{})
	h.SetCanary(now)
	for _, test := range []struct {
		age    time.Duration
		code   int
		status Status
		reason string
	}{
		{4 * time.Second, 200, Ready, "4 s old"},
		{61 * time.Second, 200, Degraded, "61 s old: what is captured doesn't come through to the verdict"},
		{301 * time.Second, 503, NotReady, "301 s old: what is captured doesn't come through to the verdict"},
	} {
		now = time.Date(2026, 11, 22, 14, 0, 0, 0, time.UTC).Add(test.age)
		answer := httptest.NewRecorder()
		h.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), "GET", "/readyz", nil))
		var got struct {
			Status       Status
			Dependencies map[string]part
		}
		if err := json.Unmarshal(answer.Body.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		if p := got.Dependencies[CanaryPart]; answer.Code != test.code || got.Status != test.status || p.Status != test.status || p.Reason != test.reason {
			t.Errorf("after %s: %d %+v", test.age, answer.Code, got)
		}
		if h.Overall() != test.status || len(h.Parts()) != 2 {
			t.Errorf("after %s: %s, %v", test.age, h.Overall(), h.Parts())
		}
	}
	h.ForgetCanary()
	if h.Overall() != Ready {
		t.Errorf("a canary that others look out for makes it %s", h.Overall())
	}
}
