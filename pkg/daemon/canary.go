package daemon

import (
	"time"

	"datawatch/pkg/control"
	"datawatch/pkg/reason"
)

// CanaryPart is the canary's name in /readyz.
const CanaryPart = "canary"

// canaryStuck is how old a canary must be for a service not to be ready: what comes isn't judged any more.
const canaryStuck = 5 * control.CanaryLate

// SetCanary tells when the canary that is farthest behind was sent. From then on /readyz shows its age, as it is when it is
// asked: over control.CanaryLate somebody should look, over five times that the service isn't ready.
func (h *Health) SetCanary(sent time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.canary = sent
}

// ForgetCanary has /readyz show none: others look out for them now.
func (h *Health) ForgetCanary() { h.SetCanary(time.Time{}) }

// all are the parts as they are now. The caller holds the lock.
func (h *Health) all() map[string]part {
	if h.canary.IsZero() {
		return h.parts
	}
	all := make(map[string]part, len(h.parts)+1)
	for name, p := range h.parts {
		all[name] = p
	}
	all[CanaryPart] = canaryPart(h.canary, h.now())
	return all
}

func canaryPart(sent, now time.Time) part {
	age := max(now.Sub(sent), 0)
	seconds := int64(age / time.Second)
	p := part{Status: Ready, why: reason.CanaryAge.With(seconds), Since: sent.UTC()}
	late := func(after time.Duration, status Status) {
		if age > after {
			p.Status, p.Since, p.why = status, sent.Add(after).UTC(), reason.CanaryLate.With(seconds)
		}
	}
	late(control.CanaryLate, Degraded)
	late(canaryStuck, NotReady)
	p.Reason = p.why.String()
	return p
}
