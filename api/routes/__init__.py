"""The routes, one file a subject. They know HTTP; SQL lies in `api.store`, HTML in `api.pages`."""
