"""Programs that break the product on purpose: faults at every step, random schedules, planted bugs."""
