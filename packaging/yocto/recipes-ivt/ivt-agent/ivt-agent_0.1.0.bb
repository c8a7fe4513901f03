SUMMARY = "Device side of a video cloud for cameras and NVRs"
DESCRIPTION = "Connects cameras to a video cloud: live pictures by RTMP, recordings, alarms, PTZ, and a page for the technician. It dials out."
HOMEPAGE = "https://ivt.example.com/"
BUGTRACKER = "https://ivt.example.com/issues"
SECTION = "multimedia"
LICENSE = "MIT | Apache-2.0"
LIC_FILES_CHKSUM = "\
    file://LICENSE-APACHE;md5=3b83ef96387f14655fc854ddc3c6bd57 \
    file://LICENSE-MIT;md5=738ac05f0b91add1dfaa182d2640393b \
"

# The sources with all crates, so that the build fetches nothing: `make vendor` of the project.
SRC_URI = "file://${IVT_ARCHIVES}/${BP}.tar.gz"

inherit cargo systemd update-rc.d useradd

CARGO_SRC_DIR = "agent"
CARGO_VENDORING_DIRECTORY = "${S}/VENDOR"

# The sizes of docs/firmware.md: full, small.
IVT_PROFILE ?= "full"
IVT_FEATURES[full] = ""
IVT_FEATURES[small] = "--no-default-features"
CARGO_BUILD_FLAGS += "--bin ivt-agent ${@d.getVarFlag('IVT_FEATURES', d.getVar('IVT_PROFILE')) or ''}"

# A file of configs/products of the sources, without .toml, for the device's base. Empty: the image brings /etc/ivt/agent.toml.
IVT_PRODUCT ?= "cam-onvif"
# A folder on a partition that can be written.
IVT_DATA ?= "/data/ivt"

SYSTEMD_SERVICE:${PN} = "ivt-agent.service"
# Nothing runs that was not configured: an image that brings its configuration says "enable".
SYSTEMD_AUTO_ENABLE ?= "disable"
INITSCRIPT_NAME = "ivt-agent"
INITSCRIPT_PARAMS = "defaults 95 5"

USERADD_PACKAGES = "${PN}"
GROUPADD_PARAM:${PN} = "--system ivt"
USERADD_PARAM:${PN} = "--system --home-dir / --no-create-home --shell /bin/false --gid ivt ivt"

do_install:append() {
    install -d -m 0750 ${D}${sysconfdir}/ivt
    if [ -n "${IVT_PRODUCT}" ]; then
        install -d -m 0750 ${D}${sysconfdir}/ivt/products
        install -m 0640 ${S}/configs/base.toml ${D}${sysconfdir}/ivt/base.toml
        sed 's,"/data/ivt/,"${IVT_DATA}/,' ${S}/configs/products/${IVT_PRODUCT}.toml > ${D}${sysconfdir}/ivt/products/${IVT_PRODUCT}.toml
        printf 'base = "products/%s.toml"\n' "${IVT_PRODUCT}" > ${D}${sysconfdir}/ivt/agent.toml
        chmod 0640 ${D}${sysconfdir}/ivt/products/${IVT_PRODUCT}.toml ${D}${sysconfdir}/ivt/agent.toml
    fi
    chown -R root:ivt ${D}${sysconfdir}/ivt

    install -D -m 0644 ${S}/packaging/init/ivt-agent.service ${D}${systemd_system_unitdir}/ivt-agent.service
    install -d ${D}${systemd_system_unitdir}/ivt-agent.service.d ${D}${nonarch_libdir}/tmpfiles.d
    printf '[Service]\nReadWritePaths=%s\n' "${IVT_DATA}" > ${D}${systemd_system_unitdir}/ivt-agent.service.d/data.conf
    printf 'd %s 0700 ivt ivt -\n' "${IVT_DATA}" > ${D}${nonarch_libdir}/tmpfiles.d/ivt-agent.conf

    install -D -m 0755 ${S}/packaging/init/ivt-agent.init ${D}${INIT_D_DIR}/ivt-agent
    install -d ${D}${sysconfdir}/default
    printf 'DATA=%s\nSTATE_DIRECTORY=%s/state\n' "${IVT_DATA}" "${IVT_DATA}" > ${D}${sysconfdir}/default/ivt-agent
}

FILES:${PN} += "${systemd_system_unitdir} ${nonarch_libdir}/tmpfiles.d"
CONFFILES:${PN} = "${sysconfdir}/ivt/agent.toml"
