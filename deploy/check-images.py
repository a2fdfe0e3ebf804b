"""What an overlay would pull: each entry of its `images:` is used, and all services run the one image that it names.

Usage: check-images.py KUSTOMIZATION.yaml RENDERED.yaml
"""

import sys

import yaml

# They come from one image. `mindful-realtime` alone is a name that the overlay has to give a meaning to.
SERVICES = ("gateway", "chat-service", "milestone-service", "signaling-service")
PLACEHOLDER = "mindful-realtime"


def main(kustomization, rendered):
    with open(kustomization, encoding="utf-8") as file:
        named = [image_of(entry) for entry in yaml.safe_load(file).get("images", [])]
    with open(rendered, encoding="utf-8") as file:
        pulled = dict(images_of([resource for resource in yaml.safe_load_all(file) if resource]))
    problems = list(check(named, pulled))
    for problem in problems:
        print(f"{kustomization}: {problem}", file=sys.stderr)
    return 1 if problems else 0


def check(named, pulled):
    for image in named:
        if image not in pulled.values():
            yield f"nothing would pull {image}: the name under `images:` matches no container"
    for service in SERVICES:
        image = pulled.get(service)
        if image is None:
            yield f"there is no {service}"
        elif image == PLACEHOLDER:
            yield f"{service} would pull {image}, without a tag: the overlay has to name it under `images:`"
        elif PLACEHOLDER in image and named and image not in named:
            yield f"{service} would pull {image}, which the overlay does not name"


def image_of(entry):
    """The image that an entry of `images:` makes of those that it matches."""
    name = entry.get("newName", entry["name"])
    if "digest" in entry:
        return f"{name}@{entry['digest']}"
    return f"{name}:{entry['newTag']}" if "newTag" in entry else name


def images_of(resources):
    for resource in resources:
        if resource["kind"] in ("Deployment", "StatefulSet"):
            for container in resource["spec"]["template"]["spec"]["containers"]:
                yield container["name"], container["image"]


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
