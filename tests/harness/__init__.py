"""What the Python tests share: a running gateway, its principals, corpora, certificates by another hand."""
