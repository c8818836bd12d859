# A thousand derivations in a chain: environments, contexts and hashes.
(import ../chain.nix { length = 1000; }).drvPath
