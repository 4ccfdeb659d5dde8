"""The worker: workflows that tell the business story, activities that do the work, the payment port."""
